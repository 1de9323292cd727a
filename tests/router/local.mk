# Tests of src/router: TAP programs.
