package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/hack/testenv"
)

// cloudToken is what each cloud gives for its registry.
const cloudToken = "t0ken-of-the-cloud"

// TestCloudIdentities pushes to registries of clouds with what the machine, or the
// pipeline, is there. A refusal says where the credentials were from, and not what they
// are.
func TestCloudIdentities(t *testing.T) {
	w := newWorld(t, testenv.SharedDaemon(t, testenv.Root))
	answering := func(path, header, answer string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, path) {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Metadata-Flavor", "Google")
			w.Header().Set("Content-Type", header)
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	programs := func(name, script string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return "PATH=" + dir + ":" + os.Getenv("PATH")
	}
	metadata := answering("/computeMetadata/v1/instance/service-accounts/default/token", "application/json",
		`{"access_token":"`+cloudToken+`","expires_in":3600,"token_type":"Bearer"}`)
	ecr := answering("/", "application/x-amz-json-1.1",
		fmt.Sprintf(`{"authorizationData":[{"authorizationToken":%q}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:"+cloudToken))))
	nowhere := answering("/nothing", "", "")
	for _, cloud := range []struct {
		host, user, source string
		env                []string
	}{
		{"europe-docker.pkg.dev", "_token", "Google's application default credentials", []string{"GCE_METADATA_HOST=" + metadata}},
		{"gcr.io", "_token", "gcloud's configuration", []string{
			"GCE_METADATA_HOST=" + nowhere,
			programs("gcloud", `echo '{"credential":{"access_token":"`+cloudToken+`","token_expiry":"2999-01-01T00:00:00Z"}}'`),
		}},
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", "the AWS identity", []string{
			"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" + cloudToken, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_ECR=http://" + ecr,
		}},
		{"acme.azurecr.io", "00000000-0000-0000-0000-000000000000", "docker-credential-acr-env", []string{
			programs("docker-credential-acr-env", `cat >/dev/null; echo '{"Username":"00000000-0000-0000-0000-000000000000","Secret":"`+cloudToken+`"}'`),
		}},
		{"acme.azurecr.io", "principal", "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET", []string{"AZURE_CLIENT_ID=principal", "AZURE_CLIENT_SECRET=" + cloudToken}},
		{"ghcr.io", "octocat", "GITHUB_TOKEN", []string{"GITHUB_ACTOR=octocat", "GITHUB_TOKEN=" + cloudToken}},
	} {
		t.Run(cloud.host+", "+cloud.source, func(t *testing.T) {
			for password, code := range map[string]int{cloudToken: 0, "another": 6} {
				reg := testenv.StartRegistry(t, testenv.RegistryOptions{Auth: testenv.AuthBasic, User: cloud.user, Password: password})
				env := append(w.env(), "HTTP_PROXY="+testenv.StartProxy(t, reg.Host), "HTTPS_PROXY=http://127.0.0.1:1", "CLOUDSDK_CONFIG=", "GOOGLE_APPLICATION_CREDENTIALS=")
				c := start(t, append(env, cloud.env...), "run", "--debug", "-t", cloud.host+"/acme/app:1", "--insecure-registry", cloud.host, "--untested",
					testenv.Dir(t, "Dockerfile", plainDockerfile))
				c.exits(code)
				c.says("debug: credentials for " + cloud.host + "/acme/app: from " + cloud.source + "\n")
				if code == 0 {
					c.says("tag moved")
				} else {
					c.says("401 Unauthorized", "(with the credentials of "+cloud.source+")", "no tag moved")
				}
				if strings.Contains(c.stderr()+c.out.String(), cloudToken) {
					t.Errorf("the token is in the output:\n%s", c.stderr())
				}
			}
		})
	}
}
