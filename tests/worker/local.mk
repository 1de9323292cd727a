# Tests of src/worker: TAP programs.
