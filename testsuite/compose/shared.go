package compose

import "github.com/seatrial/seatrial/testsuite"

// warnOfShared tells that sut can write to a volume that it wants to read only: one that
// it shares is a link there, which nothing protects.
func (m *mapper) warnOfShared() {
	others := map[string]bool{}
	for _, s := range m.out.Test.Services {
		for _, mount := range s.Mounts {
			others[mount.ID] = others[mount.ID] || mount.Type == testsuite.MountVolume
		}
	}
	s := m.project.Services[sut]
	for i, mount := range m.out.Test.Mounts {
		if mount.Type == testsuite.MountVolume && mount.ReadOnly && mount.ID != "" && others[mount.ID] {
			n := m.doc.at("services", sut, "volumes", index(i))
			m.out.Warnings = append(m.out.Warnings, Finding{
				File: m.doc.file, Line: n.Line, Column: n.Column, Msg: "read_only of the volume " + mount.ID + " is not honoured in " + s.Name + ": it can be written to",
			})
		}
	}
}
