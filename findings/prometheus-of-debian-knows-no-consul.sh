#!/usr/bin/env bash
# Debian's Prometheus refuses a configuration that finds its targets in Consul, which the maker's documentation has.
# Versions: prometheus 2.42.0+ds-5+deb12u1 (Debian 12).
# Expected: promtool takes `consul_sd_configs`, as https://prometheus.io/docs/prometheus/2.42/configuration/configuration/ has it.
# Seen: the package is built without that discovery (and without Kubernetes'): the field is unknown.
# Output seen: "field consul_sd_configs not found in type config.ScrapeConfig"; with dns_sd_configs instead "valid"
# Needs: no root, 5 s.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

debian prometheus=2.42.0+ds-5+deb12u1
check() { # KIND: promtool's words on a configuration with that discovery
  case $1 in
    consul) printf 'scrape_configs: [{job_name: a, consul_sd_configs: [{server: "127.0.0.1:8500"}]}]\n' ;;
    dns) printf 'scrape_configs: [{job_name: a, dns_sd_configs: [{names: [a.service.consul]}]}]\n' ;;
  esac >"$work/$1.yml"
  promtool check config "$work/$1.yml" 2>&1 || true
}
check consul >"$work/consul.out"
check dns >"$work/dns.out"
output "$work/consul.out"
output "$work/dns.out"
grep -q 'is valid' "$work/dns.out" || cannot "promtool does not take a plain configuration either."
grep -q 'consul_sd_configs not found' "$work/consul.out" || changed "it takes consul_sd_configs."
holds "consul_sd_configs is an unknown field to Debian's Prometheus."
