package main

import "github.com/urfave/cli/v2"

const catRegistry = "Registries:"

// registryFlags say how registries are reached, and as whom.
func registryFlags() []cli.Flag {
	return []cli.Flag{
		listFlag(catRegistry, "registry-user", "user for pushing and pulling: `[HOST[/PATH]=]NAME` (default: HOST is where the image goes); other credentials are found as README says"),
		boolFlag(catRegistry, "registry-password-stdin", "read the password of --registry-user from standard input"),
		listFlag(catRegistry, "registry-password-file", "the password of --registry-user is in a file: `[HOST[/PATH]=]FILE` (default: it is in SEATRIAL_REGISTRY_PASSWORD)"),
		listFlag(catRegistry, "pull-user", "user for pulling alone, as --registry-user: `[HOST[/PATH]=]NAME`"),
		listFlag(catRegistry, "pull-password-file", "the password of --pull-user is in a file: `[HOST[/PATH]=]FILE` (default: it is in SEATRIAL_PULL_PASSWORD)"),
		listFlag(catRegistry, "registry-ca", "trust the certificates in `FILE` for registries, besides the system's"),
		listFlag(catRegistry, "registry-certs", "`DIR` with a folder for each host, as /etc/docker/certs.d, to look at before the usual ones: ca.crt, client.cert and client.key, or hosts.toml"),
		listFlag(catRegistry, "insecure-registry", "speak plain HTTP with `HOST[:PORT]` if it has no HTTPS, and do not look at its certificate"),
	}
}
