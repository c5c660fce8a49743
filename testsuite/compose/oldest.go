package compose

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// upgrade turns what is not Compose's form any more, the first one above all, in
// which services are at the top, into today's. Nodes keep their places.
func (d *document) upgrade() error {
	version := take(d.top, "version")
	if n := d.value("services"); n != nil && n.Tag == "!!null" {
		return d.errorf([]string{"services"}, example, "there are no services")
	}
	if d.value("services") != nil || d.value("include") != nil {
		return nil
	}
	services := d.oldServices()
	if len(services) == 0 {
		return d.errorAt(&yaml.Node{Line: 1, Column: 1}, example, "there are no services")
	}
	if version != nil && !strings.HasPrefix(version.Value, "1") {
		return d.errorAt(services[0], "put a line `services:` above them, and indent them", "version %s has services under `services:`", version.Value)
	}
	all := mapping()
	var rest []*yaml.Node
	for i := 0; i+1 < len(d.top.Content); i += 2 {
		pair := d.top.Content[i : i+2]
		if slices.Contains(services, pair[0]) {
			all.Content = append(all.Content, pair...)
		} else {
			rest = append(rest, pair...)
		}
	}
	volumes := mapping()
	for i := 1; i < len(all.Content); i += 2 {
		upgradeService(all.Content[i], volumes)
	}
	first := services[0]
	key := func(name string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: first.Line, Column: first.Column}
	}
	rest = append(rest, key("services"), all)
	if len(volumes.Content) > 0 && d.value("volumes") == nil {
		rest = append(rest, key("volumes"), volumes)
	}
	d.top.Content = rest
	return nil
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

// take removes a key, and returns its value.
func take(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			value := n.Content[i+1]
			n.Content = slices.Delete(n.Content, i, i+2)
			return value
		}
	}
	return nil
}

// oldServices are the keys at the top that look like services.
func (d *document) oldServices() []*yaml.Node {
	var out []*yaml.Node
	for i := 0; i+1 < len(d.top.Content); i += 2 {
		key, value := d.top.Content[i], d.top.Content[i+1]
		if strings.HasPrefix(key.Value, "x-") || value.Kind != yaml.MappingNode {
			continue
		}
		for _, name := range []string{"image", "build", "command", "extends"} {
			if k, _ := child(value, name); k != nil {
				out = append(out, key)
				break
			}
		}
	}
	return out
}

// upgradeService renames what the first form called otherwise, and collects the named
// volumes, which it did not declare.
func upgradeService(n, volumes *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch key.Value {
		case "net":
			if key.Value = "network_mode"; strings.HasPrefix(value.Value, "container:") {
				value.Value = "service:" + strings.TrimPrefix(value.Value, "container:")
			}
		case "volumes":
			declare(value, volumes)
		}
	}
	for _, gone := range []string{"log_driver", "log_opt"} {
		take(n, gone)
	}
	build, _ := child(n, "build")
	file, _ := child(n, "dockerfile")
	if build == nil || file == nil {
		return
	}
	_, context := child(n, "build")
	name := take(n, "dockerfile")
	if context.Kind != yaml.ScalarNode {
		return
	}
	both := mapping()
	both.Line, both.Column = context.Line, context.Column
	both.Content = []*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: "context", Line: context.Line, Column: context.Column}, context,
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: "dockerfile", Line: file.Line, Column: file.Column}, name,
	}
	n.Content[slices.Index(n.Content, context)] = both
}

func declare(list, volumes *yaml.Node) {
	for _, item := range list.Content {
		name, _, ok := strings.Cut(item.Value, ":")
		if !ok || strings.ContainsAny(name, `/\~.$`) {
			continue
		}
		if key, _ := child(volumes, name); key == nil {
			volumes.Content = append(volumes.Content,
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: item.Line, Column: item.Column},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", Line: item.Line, Column: item.Column})
		}
	}
}
