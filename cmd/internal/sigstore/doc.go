// Package sigstore signs in-toto statements with a key and puts them into Sigstore
// bundles, as cosign attest does and cosign verify-attestation reads, and verifies them.
//
// It is not a client of Fulcio or Rekor: there are no certificates and no log entries,
// only keys that who signs and who verifies have agreed on.
package sigstore
