"""How the admin pages write times: with seconds and the zone, in every list and history."""

DATETIME_FORMAT = "Y-m-d H:i:s T"
