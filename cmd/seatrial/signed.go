package main

import (
	"fmt"
	"io"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seatrial/seatrial/cmd/internal/sigstore"
)

// signer signs the result of the tests.
type signer struct {
	bundleSigner
	key      string            // its file; "" for --sign keyless
	subject  string            // of the token of --sign keyless, if that is known
	services sigstore.Services // for --sign keyless
}

// by says who signs. A certificate's identity is better than what asks for it.
func (s *signer) by(identity string) string {
	switch {
	case s.key != "":
		return "with the key " + s.key
	case identity != "":
		return "by " + identity
	case s.subject != "":
		return "by the identity of the token, whose subject is " + s.subject
	}
	return "by the identity of this job"
}

// signedResult is the signed result of the tests in one repository, or that is to be there.
type signedResult struct {
	repo  name.Repository
	by    string
	made  bool      // by this run, or would be; false: it was there
	tag   *name.Tag // that lists it, where the registry has no list of referrers
	index *int64    // in the log, if it has an entry there
}

// signatures are those of one artifact.
type signatures struct {
	all      []signedResult
	services sigstore.Services
	dry      bool // they would be made
}

func (s *signatures) summarize(w io.Writer) {
	if s == nil {
		return
	}
	for _, one := range s.all {
		where := "as a referrer of the image"
		if one.tag != nil {
			where = fmt.Sprintf("under the tag %.19s…", one.tag.TagStr()) // sha256- and as much as tells it
		}
		switch {
		case !one.made && s.dry:
			row(w, "would", "sign nothing in "+one.repo.Name(), "signed already "+one.by)
			continue
		case !one.made:
			row(w, "signed", one.repo.Name(), "already, "+one.by)
			continue
		case s.dry:
			row(w, "would", "sign the result of the tests in "+one.repo.Name(), one.by)
			if one.tag != nil {
				where += ", if the registry lists no referrers"
			}
		default:
			row(w, "signed", one.repo.Name(), one.by)
		}
		row(w, "", where, "")
		if text := s.witnesses(one); text != "" {
			row(w, "", text, "")
		}
	}
}

// witnesses are the services that have a part in a keyless signature.
func (s *signatures) witnesses(one signedResult) string {
	text := ""
	add := func(what, address string) {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			if text != "" {
				text += ", "
			}
			text += what + u.Host
		}
	}
	add("certified by ", s.services.Fulcio)
	add("with a timestamp of ", s.services.TSA)
	if one.index != nil {
		add(fmt.Sprintf("entry %d in the log of ", *one.index), s.services.Rekor)
	} else {
		add("entered into the log of ", s.services.Rekor)
	}
	return text
}

// resultSignature is a signature in the result file.
type resultSignature struct {
	Repository string `json:"repository"`
	By         string `json:"by"`
	Made       bool   `json:"made"`          // by this run; false: it was there
	Tag        string `json:"tag,omitempty"` // that lists it, where the registry has no list of referrers
	LogIndex   *int64 `json:"logIndex,omitempty"`
}

func (s *signatures) document() []resultSignature {
	if s == nil {
		return nil
	}
	var docs []resultSignature
	for _, one := range s.all {
		doc := resultSignature{Repository: one.repo.Name(), By: one.by, Made: one.made, LogIndex: one.index}
		if one.tag != nil {
			doc.Tag = one.tag.TagStr()
		}
		docs = append(docs, doc)
	}
	return docs
}
