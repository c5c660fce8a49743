package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Kind is why a registry could not be used, as far as a user can mend it.
type Kind int

// The kinds of Error.
const (
	KindOther        Kind = iota // none of the following
	KindDenied                   // 401 or 403: other credentials, or more rights
	KindNoRepository             // the repository does not exist and is not created by a push
	KindUnreachable              // no connection, or none that lasted: the name, the network, or the registry
	KindNotRegistry              // what answers there is none
	KindProxy                    // a proxy on the way to it: see ProxyError
	KindTooLarge                 // 413: the registry, or a proxy before it, takes no request of that size
	KindFull                     // no room, or no more of it for us
	KindReadOnly                 // 405 on what would change something, and not for what is in it, or the registry says that it is under maintenance
	KindStorage                  // 401 or 403 of the storage that the registry keeps blobs in: see Error.Storage
)

// Error is a failure of a registry. Its text names the repository or reference,
// and never has credentials, query strings or control characters, whatever the
// registry answered. That of Err may have them: do not print it.
type Error struct {
	Op         string // what was tried, such as "uploading layer sha256:… to host/repo"
	Registry   string // the host
	Repository string // with the host
	Anonymous  bool   // no credentials were found for the repository
	Source     string // where they were found; "" if the keychain does not say
	Status     int    // of the HTTP answer; 0 if there was none
	Storage    string // the host that answered, if it was one that the registry sends blobs to
	Kind       Kind
	Err        error

	secrets []string // that were sent to the registry
}

func (e *Error) Error() string {
	text := e.Op + ": " + e.cause()
	if e.Storage != "" {
		text += " (from the storage of " + e.Registry + " at " + e.Storage + ")"
	}
	if e.Kind != KindDenied {
		return text
	}
	if e.Anonymous {
		return text + " (anonymous: no credentials found for " + e.Registry + ")"
	}
	if e.Source != "" {
		return text + " (with the credentials of " + e.Source + ")"
	}
	return text + " (with the credentials found for " + e.Registry + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause is the text of Err that may be shown.
func (e *Error) cause() string {
	var answer *transport.Error
	if !errors.As(e.Err, &answer) {
		return e.clean(e.Err.Error())
	}
	status := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	if strange(answer) {
		asked := original(answer.Request)
		return e.clean(fmt.Sprintf("%s answered %s %s with %s, as no registry does", answer.Request.URL.Host, asked.Method, asked.URL.Path, status))
	}
	if len(answer.Errors) == 0 {
		return status
	}
	var said []string
	for _, d := range answer.Errors {
		said = append(said, fmt.Sprintf("%s: %s", d.Code, d.Message))
	}
	return status + ": " + e.clean(strings.Join(said, "; "))
}

// clean is the function of that name, and masks what the registry was sent.
func (e *Error) clean(text string) string {
	return clean(undisguised(withoutSecrets(text, e.secrets), e.Registry))
}

// errorf says what failed at the repository. An error that says so already, and
// the end of a context, stay as they are.
func (c *conn) errorf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	op := fmt.Sprintf(format, args...)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", op, context.Canceled)
	}
	e := &Error{
		Op:         op,
		Registry:   c.repo.RegistryStr(),
		Repository: c.repo.String(),
		Anonymous:  c.anonymous,
		Source:     c.source,
		Err:        err,
		secrets:    c.wire.secrets.list(),
	}
	e.Kind, e.Status = classify(err)
	if e.Storage = storage(err); e.Storage != "" && e.Kind == KindDenied {
		e.Kind = KindStorage // the registry has let us in
	}
	return e
}

// reason is what a failure is told by that may pass.
func (c *conn) reason(err error) string {
	if known := (*Error)(nil); errors.As(err, &known) {
		err = known.Err // without what was tried
	}
	if request := (*url.Error)(nil); errors.As(err, &request) {
		err = request.Err // without the address
	}
	return (&Error{Registry: c.repo.RegistryStr(), Err: err, secrets: c.wire.secrets.list()}).cause()
}

// storage is the host that answered where a registry has blobs sent to and read from
// another place; "" for the registry itself, and for its token server.
func storage(err error) string {
	var answer *transport.Error
	if !errors.As(err, &answer) || answer.Request == nil {
		return ""
	}
	r := answer.Request
	own := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v2/") } // on whichever of its hosts
	if own(r) || r.Method != http.MethodPut && !own(original(r)) {
		return ""
	}
	return r.URL.Host
}

func classify(err error) (Kind, int) {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return classifyAnswer(answer), answer.StatusCode
	}
	var proxy *ProxyError
	if errors.As(err, &proxy) {
		return KindProxy, 0
	}
	var stranger *strangerError
	if errors.As(err, &stranger) {
		return KindNotRegistry, 0
	}
	if broken(err) {
		return KindUnreachable, 0
	}
	return KindOther, 0
}

func classifyAnswer(answer *transport.Error) Kind {
	if strange(answer) {
		return KindNotRegistry
	}
	for _, d := range answer.Errors {
		if d.Code == transport.NameUnknownErrorCode {
			return KindNoRepository
		}
	}
	switch {
	case full(answer):
		return KindFull // Harbor says 403 or 412 of a quota
	case readOnly(answer):
		return KindReadOnly // Harbor says 403
	case answer.StatusCode == http.StatusRequestEntityTooLarge:
		return KindTooLarge
	}
	for _, d := range answer.Errors {
		if d.Code == transport.DeniedErrorCode || d.Code == transport.UnauthorizedErrorCode {
			return KindDenied
		}
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return KindDenied
	}
	r := answer.Request
	switch notFound := r != nil && answer.StatusCode == http.StatusNotFound; {
	case notFound && r.Method == http.MethodPost:
		return KindNoRepository // starting an upload needs nothing else
	case notFound && r.URL.Path == "/v2/", answer.StatusCode == http.StatusNetworkAuthenticationRequired:
		return KindNotRegistry
	}
	return KindOther
}

// readOnly tells a registry that takes nothing from one that takes nothing of ours. Of a
// manifest of a kind that it does not take, ECR says 405, too.
func readOnly(answer *transport.Error) bool {
	says := func(text string) bool {
		return slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool {
			return strings.Contains(strings.ToLower(d.Message), text)
		})
	}
	if r := answer.Request; answer.StatusCode == http.StatusMethodNotAllowed {
		return r != nil && r.Method != http.MethodGet && r.Method != http.MethodHead && !says("manifest")
	}
	return says("read only mode")
}

// join is errors.Join with a text of one line, and nil for no errors.
func join(errs []error) error {
	var all error
	for _, err := range errs {
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// maxText bounds what is shown of what a registry said.
const maxText = 1000

// clean makes text of others fit to be shown: one line without control
// characters, and URLs without userinfo and query.
func clean(text string) string {
	// After this, go-containerregistry quotes what should have held a token.
	const noToken = "no token in bearer response"
	if i := strings.Index(text, noToken); i >= 0 {
		text = text[:i+len(noToken)]
	}
	urls := regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+`)
	text = urls.ReplaceAllStringFunc(text, cleanURL)
	relative := regexp.MustCompile(`(/[^\s"'<>?]*)\?[^\s"'<>?=]+=[^\s"'<>]*`) // as the registry itself sees them
	text = relative.ReplaceAllString(text, "$1")
	sent := regexp.MustCompile(`(?i)(authorization["']?\s*[:=]?\s*["'\[]*(?:basic|bearer)\s+)[^\s"',;\]]+`) // a header that is quoted back
	text = sent.ReplaceAllString(text, "${1}xxxxx")
	bare := regexp.MustCompile(`(?i)\b((?:basic|bearer)\s+)[a-z0-9+/_.~-]{20,}=*`) // its value alone; no word is that long
	text = bare.ReplaceAllString(text, "${1}xxxxx")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…"
	}
	return text
}

func cleanURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(an address)"
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return clean.String()
}
