package llb

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Phases are what the caller does with a build. All are optional.
type Phases struct {
	// Stages is told the Dockerfile's stages, the default target last, and
	// names those that Try will ask for. It comes before anything is built;
	// its error ends the solve. It is told none if a frontend image
	// converts the Dockerfile and does not say.
	Stages func(have []string) (want []string, err error)
	// ContextPaths are files and directories of the build context that Try
	// will ask for, beside what the Dockerfile copies.
	ContextPaths []string
	// Gear is what Try needs the session for. Default: nothing.
	Gear Gear
	// Try tries the image. It runs beside the build of the image, whose
	// vertices it shares. Its error is the verdict: the solve ends with it
	// and nothing is shipped. Without it the verdict is good.
	Try func(ctx context.Context, t *Trial) error
	// Failed is told of the failure of the build or of Try while what the failed
	// steps left can still be had (Trial.OpenFailed); the solve goes on to its
	// end when it returns. It is called once at most. With it, an image is not
	// exported before all its steps are done.
	Failed func(ctx context.Context, t *Trial, err error)
	// Ship is given the image once it lies in the daemon's content store,
	// while Try may still be at work. Without it no image is exported.
	Ship func(ctx context.Context, s *Shipment) error
}

// Shipment is an image in the daemon's content store. Its blobs are safe from
// the daemon's garbage collection until Ship returns or calls Release.
type Shipment struct {
	// Descriptor is the image's manifest or index.
	Descriptor ocispecs.Descriptor
	// Content is the daemon's content service.
	Content contentapi.ContentClient
	// Bases are the images that the build took layers from; those of them
	// that no step needed may be absent from Content.
	Bases []Base
	// Response is what the exporter said of the image.
	Response map[string]string

	materialize func(context.Context) error
	verdict     *future[struct{}]
	release     func()
	export      func(context.Context, []client.ExportEntry) error
}

// Verdict waits until the image has been tried and returns nil if it passed.
func (s *Shipment) Verdict(ctx context.Context) error {
	_, err := s.verdict.get(ctx)
	return err
}

// Materialize has the daemon fetch every layer of the image into Content.
func (s *Shipment) Materialize(ctx context.Context) error { return s.materialize(ctx) }

// Release says that no more will be read from Content, and Materialize and Export
// not be called. Once the image has passed, too, the daemon ends its builds while Ship
// goes on.
func (s *Shipment) Release() { s.release() }

// Result is what a solve came to.
type Result struct {
	// Descriptor is the exported image; zero if none was.
	Descriptor ocispecs.Descriptor
	// Response is what the exporter said of it.
	Response map[string]string
	// Syntax is what the Dockerfile asked to be converted by, and what
	// converted it; zero if it asked for nothing or was not converted.
	Syntax Syntax
	// Ref names the image's build in the daemon's history; "" if no image was
	// exported.
	Ref string
	// Record is what the daemon reported; it is there on failure too.
	Record *Record
	// Transfers are what the session sent of contexts on this machine.
	Transfers []Transfer
	// Passed are the trials that the image has passed, now or before; empty
	// after a failure.
	Passed Passes
	// CacheErr says why caches were not exported; it is no failure.
	CacheErr error
}

// descriptor is the image in an exporter's response.
func descriptor(resp map[string]string) (ocispecs.Descriptor, error) {
	var desc ocispecs.Descriptor
	dt, err := base64.StdEncoding.DecodeString(resp[exptypes.ExporterImageDescriptorKey])
	if err == nil {
		err = json.Unmarshal(dt, &desc)
	}
	if err != nil {
		return desc, fmt.Errorf("reading the exporter's response: %s %q: %w", exptypes.ExporterImageDescriptorKey, resp[exptypes.ExporterImageDescriptorKey], err)
	}
	return desc, nil
}
