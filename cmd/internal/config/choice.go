package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// choice is a text that must be one of a few words.
type choice interface{ choices() []string }

// oneOf decodes a choice.
func (t *Text) oneOf(d *decoder, n *yaml.Node, words []string) error {
	if err := t.decode(d, n); err != nil || !t.fixed() || slices.Contains(words, t.raw) {
		return err
	}
	hint := nearest(t.raw, words)
	if strings.HasPrefix(hint, knownHere) {
		hint = "" // the message has them
	}
	return d.errorf(t.Pos, hint, "%q is not one of %s", t.raw, strings.Join(words, ", "))
}

// TestNetwork is the network of a test.
type TestNetwork struct{ Text }

func (*TestNetwork) choices() []string                       { return []string{"default", "none", "host"} }
func (c *TestNetwork) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }

// ServiceNetwork is the network of a service.
type ServiceNetwork struct{ Text }

func (*ServiceNetwork) choices() []string                       { return []string{"none", "default"} }
func (c *ServiceNetwork) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }

// MountKind is what a mount is.
type MountKind struct{ Text }

func (*MountKind) choices() []string                       { return []string{"bind", "cache", "tmpfs", "secret", "ssh"} }
func (c *MountKind) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }

// built stands for the image that was built, context for the build context.
const (
	built   = "built"
	context = "context"
)

// MountFrom is what a bind mount shows, if it is no stage and no other image.
type MountFrom struct{ Text }

func (*MountFrom) choices() []string                       { return []string{built, context} }
func (c *MountFrom) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }

// ServiceFrom is what a service runs in, if it is no stage and no other image.
type ServiceFrom struct{ Text }

func (*ServiceFrom) choices() []string                       { return []string{built} }
func (c *ServiceFrom) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }

// Condition is what a dependency has to reach.
type Condition struct{ Text }

func (*Condition) choices() []string {
	return []string{"service_started", "service_healthy", "service_completed_successfully"}
}
func (c *Condition) decode(d *decoder, n *yaml.Node) error { return c.oneOf(d, n, c.choices()) }
