"""N VPSes on one machine, as network namespaces, with real servers around them. docs/rig.md says how to use it."""
