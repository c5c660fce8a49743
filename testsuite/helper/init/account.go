package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is who a command runs as.
type account struct {
	uid, gid uint32
	groups   []uint32 // supplementary
	home     string   // "" if /etc/passwd does not say
}

func (a *account) credential() *syscall.Credential {
	// As with a container's runtime, the group is among the supplementary ones:
	// what is closed to a group must not open by starting a program that has
	// another.
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: append([]uint32{a.gid}, a.groups...)}
}

// environ sets HOME, as a container's runtime does if a process starts as the
// user. The one that this process has is kept if it is not just root's.
func (a *account) environ(env []string) []string {
	home, ok := getenv(env, "HOME")
	root, _ := lookupAccount("0")
	if ok && home != "/" && (root == nil || home != root.home) && home != "/root" {
		return env
	}
	if a.home == "" {
		return setenv(env, map[string]string{"HOME": "/"})
	}
	return setenv(env, map[string]string{"HOME": a.home})
}

// lookupAccount finds who USER[:GROUP] is, names or numbers, as a container's
// runtime does: a number needs no entry in /etc/passwd.
func lookupAccount(spec string) (*account, error) {
	user, group, hasGroup := strings.Cut(spec, ":")
	a := &account{}
	name := ""
	entry, err := findEntry("/etc/passwd", user, 7)
	if err != nil {
		return nil, err
	}
	switch {
	case entry != nil:
		name, a.home = entry[0], entry[5]
		if a.uid, err = id(entry[2]); err == nil {
			a.gid, err = id(entry[3])
		}
	default:
		if a.uid, err = id(user); err != nil {
			err = fmt.Errorf("there is no user %q in the image's /etc/passwd", user)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding user %q: %w", spec, err)
	}
	if hasGroup {
		if a.gid, err = lookupGroup(group); err != nil {
			return nil, fmt.Errorf("finding user %q: %w", spec, err)
		}
		return a, nil
	}
	a.groups, err = memberships(name)
	return a, err
}

func lookupGroup(group string) (uint32, error) {
	entry, err := findEntry("/etc/group", group, 4)
	if err != nil {
		return 0, err
	}
	if entry != nil {
		return id(entry[2])
	}
	gid, err := id(group)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q in the image's /etc/group", group)
	}
	return gid, nil
}

// memberships are the groups that list a user.
func memberships(name string) ([]uint32, error) {
	if name == "" {
		return nil, nil
	}
	entries, err := readEntries("/etc/group", 4)
	if err != nil {
		return nil, err
	}
	var groups []uint32
	for _, e := range entries {
		if slices.Contains(strings.Split(e[3], ","), name) {
			if gid, err := id(e[2]); err == nil {
				groups = append(groups, gid)
			}
		}
	}
	return groups, nil
}

// findEntry is the line whose name or number is key; nil if there is none.
func findEntry(file, key string, fields int) ([]string, error) {
	entries, err := readEntries(file, fields)
	if err != nil {
		return nil, err
	}
	for _, field := range []int{0, 2} { // a name comes before a number
		for _, e := range entries {
			if e[field] == key {
				return e, nil
			}
		}
	}
	return nil, nil
}

// readEntries reads /etc/passwd or /etc/group; an image need not have them.
func readEntries(path string, fields int) ([][]string, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var entries [][]string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if e := strings.Split(lines.Text(), ":"); len(e) == fields {
			entries = append(entries, e)
		}
	}
	return entries, lines.Err()
}

func id(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err
}
