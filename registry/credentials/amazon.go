package credentials

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-containerregistry/pkg/authn"
)

const (
	amazonSource = "the AWS identity"
	publicECR    = "public.ecr.aws"
)

// privateECR is an account's registry in a region; those for dual-stack networks and
// in other partitions have names of their own.
var privateECR = regexp.MustCompile(`^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.aws|on\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)$`)

// amazonIdentity is a Source: whoever the AWS SDK says we are (environment, profile,
// web identity, instance), for ECR. Unlike Amazon's own helper it writes no token to
// the disk.
type amazonIdentity struct {
	mu      sync.Mutex
	answers map[string]answer
}

// amazonIdentities name an identity: one that is of no use then is an error, as a profile
// whose session has ended. Without them the SDK looks around for one in vain.
var amazonIdentities = []string{
	"AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
}

// Find implements Source.
func (a *amazonIdentity) Find(ctx context.Context, target Target) (*Credentials, error) {
	region := ""
	if m := privateECR.FindStringSubmatch(target.Host); m != nil {
		region = m[1]
	} else if target.Host == publicECR {
		region = "us-east-1" // whatever the region
	} else {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.answers[target.Host]
	if !ok || time.Since(known.at) > keep {
		auth, err := amazonToken(ctx, target.Host, region)
		if err != nil {
			return nil, fmt.Errorf("asking AWS for a token for %s: %w", target.Host, err)
		}
		known = answer{auth, time.Now()}
		a.answers[target.Host] = known
	}
	if known.auth == nil {
		return nil, nil
	}
	return &Credentials{*known.auth, amazonSource}, nil
}

// amazonToken is nil if the SDK finds no identity, and none is named.
func amazonToken(ctx context.Context, host, region string) (*authn.AuthConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, cloudLimit)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, err
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if i := slices.IndexFunc(amazonIdentities, func(name string) bool { return os.Getenv(name) != "" }); i >= 0 && host != publicECR {
			return nil, fmt.Errorf("with %s: %w", amazonIdentities[i], err)
		}
		return nil, nil
	}
	if host == publicECR {
		out, err := ecrpublic.NewFromConfig(cfg).GetAuthorizationToken(ctx, nil)
		if err != nil || out.AuthorizationData == nil {
			return nil, nil // most are there for what everybody may pull
		}
		return decodeToken(out.AuthorizationData.AuthorizationToken)
	}
	out, err := ecr.NewFromConfig(cfg).GetAuthorizationToken(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(out.AuthorizationData) == 0 {
		return nil, errors.New("the answer has none")
	}
	return decodeToken(out.AuthorizationData[0].AuthorizationToken)
}

func decodeToken(token *string) (*authn.AuthConfig, error) {
	text, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	user, password, ok := strings.Cut(string(text), ":")
	if err != nil || !ok {
		return nil, errors.New("the answer is no user name and password")
	}
	return &authn.AuthConfig{Username: user, Password: password}, nil
}
