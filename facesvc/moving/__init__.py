"""Move the people of another service here: `facesvc move`, or `python -m facesvc.moving`.

It is a client, and needs neither Django nor a database. A module reads each source (compreface.py,
rekognition.py), and enrolling.py enrols what they give. docs/moving has the manuals.
"""
