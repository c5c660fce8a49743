package sigstore

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// audience is whom the token is for, unless a Fulcio wants another.
const audience = "sigstore"

// Identity is where the identity token is from that stands for whoever signs.
type Identity struct {
	// Token is it itself: GitLab's id_tokens in SIGSTORE_ID_TOKEN.
	Token string
	// RequestURL gives one for RequestToken, in GitHub's jobs with the permission
	// id-token: write.
	RequestURL, RequestToken string
}

// Known tells whether there is a token or a way to get one.
func (i Identity) Known() bool { return i.Token != "" || i.RequestURL != "" && i.RequestToken != "" }

// Subject is the one in the token; "" if that has to be asked for.
func (i Identity) Subject() (string, error) {
	if i.Token == "" {
		return "", nil
	}
	return subjectOf(strings.TrimSpace(i.Token))
}

// token gets one. They last for minutes, so that it is asked for when it is needed.
func (i Identity) token(ctx context.Context) (string, error) {
	if i.Token != "" {
		return strings.TrimSpace(i.Token), nil
	}
	u, err := url.Parse(i.RequestURL)
	if err != nil {
		return "", errors.New("asking for an identity token: the address is no URL")
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	answer, err := call(ctx, http.MethodGet, u.String(), "", nil, http.Header{"Authorization": {"Bearer " + i.RequestToken}})
	if err != nil {
		return "", fmt.Errorf("asking for an identity token: %w", err)
	}
	var got struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || got.Value == "" {
		return "", fmt.Errorf("asking for an identity token: %s gave none", u.Host)
	}
	return got.Value, nil
}

// subjectOf is what Fulcio wants signed as the proof that the key is the token's
// owner's: the address, if there is one.
func subjectOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the identity token is not a JWT")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", errors.New("the identity token is not a JWT")
	}
	var got struct {
		Email   string `json:"email"`
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(claims, &got); err != nil {
		return "", errors.New("the identity token is not a JWT")
	}
	if got.Email != "" {
		return got.Email, nil
	}
	if got.Subject == "" {
		return "", errors.New("the identity token names nobody")
	}
	return got.Subject, nil
}
