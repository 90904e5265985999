module cloudx.invalid/tools/fabio

go 1.25

require github.com/fabiolb/fabio v1.5.15
