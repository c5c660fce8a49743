package main

import (
	"bytes"
	"os"

	"github.com/seatrial/seatrial/testsuite/compose"
)

// composeSecrets has the session give a Compose file's secrets to those that mount them.
func (p *plan) composeSecrets(file string, list []compose.Secret) error {
	for _, s := range list {
		value := []byte(s.Value)
		if s.File != "" {
			var err error
			if value, err = os.ReadFile(s.File); err != nil {
				return usagef("", "%s: reading a secret: %w", file, err)
			}
		}
		store := p.secretStore()
		if have, ok := store.own[s.ID]; ok && !bytes.Equal(have, value) {
			return usagef("give one of the files another name", "%s: the secret %s has another value in the other file of this name", file, s.ID)
		}
		store.own[s.ID] = value
	}
	return nil
}

// secretStore is the session's, which there need not be yet.
func (p *plan) secretStore() *secretStore {
	if p.secrets == nil {
		p.secrets = &secretStore{}
		p.build.Attachables = append(p.build.Attachables, p.secrets)
	}
	if p.secrets.own == nil {
		p.secrets.own = map[string][]byte{}
	}
	return p.secrets
}
