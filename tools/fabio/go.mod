module cloudx.invalid/tools/fabio

go 1.25.7

// build 2: goes into the cache's key; raise it when anything but Fabio's own version changes.
require (
	github.com/fabiolb/fabio v1.5.15
	github.com/hashicorp/consul/api v1.33.4 // newer than Fabio's own: it reads CONSUL_HTTP_TOKEN_FILE
)
