"""What encrypts and signs: keys of what is kept, and who may make tokens."""

from facesvc.settings.table import Topic

keys = Topic("Keys")
SECRET_KEY = keys.required_secret("SECRET_KEY", shown="written into `.env` by `make`").says(
    "Signs the tokens, unless `JWT_SECRET` or a public key is set. Without it the service does "
    "not start."
)
FACESVC_CROP_KEYS = keys.secrets("FACESVC_CROP_KEYS", shown="written into `.env` by `make`").says(
    "Keys that encrypt the kept pictures of enrolled faces, which another model needs to take "
    "over, the pictures of waiting jobs, the webhook secrets, and the secrets of access keys. Each "
    "has 32 bytes in URL-safe base64; the newest stands first. Without a key, jobs, callbacks and "
    "access keys are refused. docs/operations.md says how to make and change keys."
)
STORE_FACE_CROPS = keys.flag(
    "STORE_FACE_CROPS", bool(FACESVC_CROP_KEYS), shown="`true` with a key in `FACESVC_CROP_KEYS`"
).rules("Whether an encrypted picture of every enrolled face is kept.")
FACESVC_TEMPLATE_KEYS = tuple(
    keys.secrets("FACESVC_TEMPLATE_KEYS", shown="written into `.env` by `make`").says(
        "Keys of the secret rotation that protects the templates. Each has 32 bytes in URL-safe "
        "base64; the newest stands first. Without a key, a thief who has the table can find people "
        "in it by their photos."
    )
)

access_keys = Topic("Access keys")
FACESVC_AWS = access_keys.flag("FACESVC_AWS", False).says(
    "Whether clients of Amazon Rekognition may use the service, at `/aws/`: see "
    "docs/rekognition.md. They sign with an access key."
)

tokens = Topic("Tokens")
ACCESS_TOKEN_EXPIRE_MINUTES = tokens.whole("ACCESS_TOKEN_EXPIRE_MINUTES", 30).says(
    "Minutes that a token of `manage.py issue_token` is valid."
)
JWT_SECRET = tokens.secret("JWT_SECRET", SECRET_KEY, shown="`SECRET_KEY`").says(
    "Signs the tokens of your app and of `manage.py issue_token` (HS256). docs/api.md says what is "
    "in a token."
)
JWT_PUBLIC_KEY = tokens.text("JWT_PUBLIC_KEY").says(
    "The public key, in PEM, of an identity provider that signs the tokens (RS256, ES256 or "
    "EdDSA). With it, or with `JWT_JWKS_URL`, tokens that are signed with a secret are refused."
)
JWT_JWKS_URL = tokens.text("JWT_JWKS_URL").says(
    "The address where an identity provider publishes its keys. Set it in place of "
    "`JWT_PUBLIC_KEY`."
)
JWT_SERVICE_CLIENTS = tokens.texts("JWT_SERVICE_CLIENTS").says(
    "The `sub` of each token that stands for a service; every other `sub` is a user. If the list "
    "is empty and there is no identity provider, a token whose `client_id` is its `sub` is a "
    "service's: all who have the secret are trusted."
)
JWT_AUDIENCE = tokens.texts("JWT_AUDIENCE").says(
    "A token must have one of these as its `aud`, if this is set. If a token has no `aud`, its "
    "client counts."
)
JWT_ISSUER = tokens.texts("JWT_ISSUER").says(
    "A token must have one of these as its `iss`, if this is set."
)
JWT_USER_CLAIM = tokens.text("JWT_USER_CLAIM", "sub").says(
    "The claim that has the user's id. `realm.id` is the claim `id` inside the claim `realm`."
)
JWT_SCOPE_CLAIM = tokens.texts("JWT_SCOPE_CLAIM", "scope", "scp").says(
    "The claims that have the scopes, named in the same way, as a text with blanks or as a list."
)
JWT_SCOPE_PREFIX = tokens.text("JWT_SCOPE_PREFIX").says(
    "What a provider writes in front of each scope, such as `facesvc/`. Other scopes do not count."
)
JWT_CLIENT_SCOPES = tokens.texts("JWT_CLIENT_SCOPES").says(
    "Scopes by the client that a token was issued to, for providers that cannot give them: "
    "`my-app=face:verify face:identify`. They stand in place of the token's own. The client is "
    "`azp`, `client_id`, `appid` or `cid`, and `aud` in a token without these."
)
JWT_COLLECTION_CLAIM = tokens.text("JWT_COLLECTION_CLAIM", "collection").says(
    "The claim that names the collection of a token. A token without it is of the collection "
    "`default`."
)
JWT_CLIENT_COLLECTIONS = tokens.texts("JWT_CLIENT_COLLECTIONS").says(
    "Collections by the client that a token was issued to, for providers that cannot give a "
    "claim: `my-app=shop`. A client that is not named here is then in no collection, and refused."
)
JWT_LEEWAY_SECONDS = tokens.whole("JWT_LEEWAY_SECONDS", 30, (0, 300)).says(
    "Seconds that the clock of the issuer may differ from ours: a token is valid for so much "
    "longer."
)
