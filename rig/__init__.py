"""N VPSes on one machine, as network namespaces, with real servers around them. rig/README.md says how to use it."""
