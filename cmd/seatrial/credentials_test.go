package main

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/hack/testenv"
)

// setUpRegistries gives a script registries that want to know who is there: the user
// mate, whose password is $SECRET, both together in a configuration $AUTH, and with another one $WRONG. $PRIVATE
// gives tokens, $BASIC does not; both have the image base/busybox. $SECURE has a
// certificate by the CA $CA; $MUTUAL by $MUTUAL_CA, and wants $CLIENT_CERT, whose key
// is $CLIENT_KEY, and not $OTHER_KEY. $PROXY takes every host that speaks plain HTTP for plain.
func setUpRegistries(e *testscript.Env, t testing.TB, plain string) {
	const user, secret = "mate", "pa55-of-the-test"
	e.Setenv("SECRET", secret)
	e.Setenv("AUTH", base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
	e.Setenv("WRONG", base64.StdEncoding.EncodeToString([]byte(user+":wr0ng-pa55")))
	for name, auth := range map[string]testenv.Auth{"PRIVATE": testenv.AuthToken, "BASIC": testenv.AuthBasic} {
		r := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: auth, User: user, Password: secret})
		testenv.Push(t, r.Host+"/base/busybox", testenv.BusyboxImage(t), remote.WithAuth(&authn.Basic{Username: user, Password: secret}))
		e.Setenv(name, r.Host)
	}
	secure := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, Auth: testenv.AuthToken, User: user, Password: secret})
	e.Setenv("SECURE", secure.Host)
	e.Setenv("CA", secure.CAFile)
	cert, key := testenv.ClientCert(t)
	mutual := testenv.StartRegistry(t, testenv.RegistryOptions{TLS: true, ClientCert: cert})
	e.Setenv("MUTUAL", mutual.Host)
	e.Setenv("MUTUAL_CA", mutual.CAFile)
	e.Setenv("CLIENT_CERT", cert)
	e.Setenv("CLIENT_KEY", key)
	_, other := testenv.ClientCert(t)
	e.Setenv("OTHER_KEY", other)
	e.Setenv("PROXY", testenv.StartProxy(t, plain))
}
