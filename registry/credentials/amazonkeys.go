package credentials

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// AmazonKeys are the keys of whoever the AWS SDK says we are. The error says why it
// says nothing; it takes no longer than a few seconds.
func AmazonKeys(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, cloudLimit)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(ctx)
}
