"""The operations of Amazon Rekognition on faces, so that an app of it can change its address.

It translates to the verbs of the service. docs/rekognition.md says what is the same, and what not.
"""
