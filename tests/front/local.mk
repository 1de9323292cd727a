# Tests of src/front: TAP programs.
