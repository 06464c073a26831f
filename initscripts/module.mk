# Files below initscripts/ that are put into guests.
GUEST_FILES := systemd/ctxd-local.service systemd/ctxd-imds.service
