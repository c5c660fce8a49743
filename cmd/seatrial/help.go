package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is that of a terminal that nobody made wider.
const helpWidth = 80

// asksHelp tells whether somebody may want to read a command's help: it takes as long
// as building an unchanged project to lay out that of all.
func asksHelp(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return slices.Contains([]string{"help", "h", "-h", "-help", "--help"}, arg) })
}

// help is the template of a command's help, one of ours: urfave/cli's has a line for each
// flag, of any length, and names every flag that may be repeated twice.
func help(cmd *cli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nUsage: seatrial %s", wrap(fmt.Sprintf("seatrial %s - %s", cmd.Name, cmd.Usage), ""), cmd.Name)
	if len(cmd.Flags) > 0 {
		b.WriteString(" [flags] " + cmd.ArgsUsage)
	}
	b.WriteString("\n")
	for _, paragraph := range strings.Split(cmd.Description, "\n\n") {
		if paragraph == "" {
			continue
		}
		if !strings.HasPrefix(paragraph, " ") { // an example
			paragraph = strings.TrimSuffix(wrap(paragraph, ""), "\n")
		}
		b.WriteString("\n" + paragraph + "\n")
	}
	var categories []string
	for _, f := range cmd.Flags {
		c, ok := f.(cli.CategorizableFlag)
		if ok && flagHelp(f) != "" && !slices.Contains(categories, c.GetCategory()) {
			categories = append(categories, c.GetCategory())
		}
	}
	for _, category := range categories {
		fmt.Fprintf(&b, "\n%s\n", category)
		for _, f := range cmd.Flags {
			if c, ok := f.(cli.CategorizableFlag); ok && c.GetCategory() == category {
				b.WriteString(flagHelp(f))
			}
		}
	}
	if len(categories) > 0 {
		b.WriteString("\nEach flag can be set as SEATRIAL_<FLAG> in the environment, too.\n")
	}
	return strings.ReplaceAll(b.String(), "{{", `{{"{{"}}`)
}

// flagHelp is "" for a flag that is not shown.
func flagHelp(f cli.Flag) string {
	doc, ok := f.(cli.DocGenerationFlag)
	if v, visible := f.(cli.VisibleFlag); !ok || visible && !v.IsVisible() {
		return ""
	}
	usage := doc.GetUsage()
	value := ""
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		value, usage = " "+parts[1], strings.Join(parts, "")
	}
	var names []string
	for _, name := range f.Names() {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		names = append(names, dashes+name)
	}
	if isList(f) {
		value += " …"
	}
	if text := doc.GetDefaultText(); doc.TakesValue() && text != "" && !strings.Contains(usage, "(default") {
		usage += fmt.Sprintf(" (default: %s)", strings.Trim(text, `"`))
	}
	for _, v := range doc.GetEnvVars()[min(1, len(doc.GetEnvVars())):] {
		usage += fmt.Sprintf(" [%s]", v)
	}
	return fmt.Sprintf("  %s%s\n%s", strings.Join(names, ", "), value, wrap(usage, "        "))
}

// wrap breaks text into lines that fit.
func wrap(text, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len([]rune(line))+1+len([]rune(word)) > helpWidth {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
