# Tests of src/common: TAP programs.
