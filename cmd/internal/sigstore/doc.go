// Package sigstore signs in-toto statements and puts them into Sigstore bundles, as
// cosign attest does and cosign verify-attestation reads, and verifies them: with a key
// that who signs and who verifies have agreed on, or keyless, with a certificate that
// Fulcio gives for the identity token of a CI job.
//
// It speaks with Fulcio, timestamp authorities and Rekor itself. sigstore-go does so
// too, but reaches Rekor's generated client, which takes milliseconds to start even
// where nothing is signed; its trusted root and its certificates are used.
package sigstore
