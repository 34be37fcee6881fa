"""How the admin pages write times in Thai: as in English, with seconds and the zone."""

DATETIME_FORMAT = "j M Y H:i:s T"
