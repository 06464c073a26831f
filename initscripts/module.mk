# Files below initscripts/ that are put into guests.
GUEST_FILES :=
