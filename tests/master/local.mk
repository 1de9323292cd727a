# Tests of src/master: TAP programs.
