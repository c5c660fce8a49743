package testenv

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// userName is the account that hack/install.sh makes, with subordinate ids.
const userName = "seatrial-test"

// User is an account that is not root.
type User struct {
	Name     string
	UID, GID int
}

// UnprivilegedUser is who rootless things run as when the tests run as root.
func UnprivilegedUser(t testing.TB) User {
	t.Helper()
	u, err := unprivilegedUser()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Credential makes a process run as the user, for syscall.SysProcAttr.
func (u User) Credential() *syscall.Credential {
	return &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
}

func unprivilegedUser() (User, error) {
	account, err := user.Lookup(userName)
	if err != nil {
		return User{}, fmt.Errorf("finding the unprivileged test user (hack/install.sh makes it): %w", err)
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return User{}, err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return User{}, err
	}
	return User{Name: userName, UID: uid, GID: gid}, nil
}

// credentialFor returns nil where the tests' own user will do.
func credentialFor(kind Kind) (*syscall.Credential, error) {
	if kind == Root || os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := unprivilegedUser()
	if err != nil {
		return nil, err
	}
	return u.Credential(), nil
}

// makeFor makes a directory that is the user's own.
func makeFor(credential *syscall.Credential, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if credential == nil {
		return nil
	}
	return os.Chown(dir, int(credential.Uid), int(credential.Gid))
}
