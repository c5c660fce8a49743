// Package structure reads and runs structure tests in the format of
// container-structure-test (schema versions 2.0.0 and 1.0.0, YAML or JSON): what
// an image's configuration and files have to be, and what commands in it have to
// say.
//
//	cfg, err := structure.Parse("structure.yaml", data)
//	…
//	for _, res := range structure.Run(ctx, cfg, target) {
//		fmt.Println(res.Name, res.Pass, res.Errors)
//	}
//
// The verdicts are those of container-structure-test with its Docker driver, but
// for what is plainly a mistake there:
//
//   - Relative symbolic links are followed from where they are, and FIFOs and devices
//     are there.
//   - JSON without uid and gid means any owner, not root, as in YAML.
//   - What cannot be a test is refused before anything runs, also where it would pass
//     there: an invalid regular expression, a missing name, path or value, an unknown
//     or repeated key of JSON, JSON without shouldExist (false there, and true in
//     YAML), a second document, an envFile that cannot be read, no test at all.
//
// Files and the configuration are looked at without starting a container; /dev, /proc,
// /sys, /etc/hosts and what else Docker puts into every container count as there.
// Teardown commands have no effect, there as here: every command test has a container
// of its own.
//
// Two settings are refused: privileges (privileged, capabilities) and what needs
// the machine that the builder runs on (bindMounts), and so is allocateTty.
package structure
