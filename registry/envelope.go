package registry

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationTitle is the name of a file that a layer is.
const annotationTitle = ocispecs.AnnotationTitle

// envelope is an attestation manifest that is being made.
type envelope struct {
	blobs    *memory
	manifest v1.Manifest
	config   *ocispecs.Image // nil: it is an artifact and has none
}

// newEnvelope is for statements about an image, in the form that BuildKit would choose.
func newEnvelope(of v1.Descriptor, opt AttestOptions) *envelope {
	e := &envelope{
		blobs:    &memory{blobs: map[v1.Hash][]byte{}},
		manifest: v1.Manifest{SchemaVersion: 2, MediaType: of.MediaType},
	}
	if opt.ImageForm || of.MediaType != types.OCIManifestSchema1 {
		e.config = &ocispecs.Image{
			Platform: ocispecs.Platform{Architecture: "unknown", OS: "unknown"},
			RootFS:   ocispecs.RootFS{Type: "layers"},
		}
		e.manifest.Config.MediaType = types.OCIConfigJSON
		if of.MediaType == types.DockerManifestSchema2 {
			e.manifest.Config.MediaType = types.DockerConfigJSON
		}
		return e
	}
	e.manifest.ArtifactType = attestationArtifact
	e.manifest.Subject = &v1.Descriptor{MediaType: of.MediaType, Digest: of.Digest, Size: of.Size}
	return e
}

// extend takes over what an attestation manifest has, and its form.
func (e *envelope) extend(old *image) error {
	e.manifest = *old.core.manifest.DeepCopy()
	e.blobs.below = old.core.loader.store
	e.config = nil
	if e.manifest.ArtifactType != "" {
		return nil
	}
	e.config = &ocispecs.Image{}
	if err := json.Unmarshal(old.core.config, e.config); err != nil {
		return fmt.Errorf("reading config of %s: %w", old.core.desc.Digest, err)
	}
	return nil
}

// add adds a statement and its files.
func (e *envelope) add(s Statement) error {
	if err := e.layer(inTotoType, annotationPredicateType, s.PredicateType, s.JSON); err != nil {
		return err
	}
	for _, f := range s.Files {
		if err := e.layer(types.MediaType(f.MediaType), annotationTitle, f.Name, f.Data); err != nil {
			return err
		}
	}
	return nil
}

func (e *envelope) layer(mediaType types.MediaType, key, value string, data []byte) error {
	desc, err := e.blobs.add(mediaType, data)
	if err != nil {
		return err
	}
	if e.manifest.MediaType != types.DockerManifestSchema2 { // which knows no annotations
		desc.Annotations = map[string]string{key: value}
	}
	e.manifest.Layers = append(e.manifest.Layers, desc)
	if e.config != nil {
		e.config.RootFS.DiffIDs = append(e.config.RootFS.DiffIDs, digest.Digest(desc.Digest.String()))
	}
	return nil
}

// image is the finished manifest with its blobs.
func (e *envelope) image(ctx context.Context) (*image, error) {
	config, mediaType := []byte("{}"), types.MediaType(ocispecs.MediaTypeEmptyJSON)
	var data []byte
	if e.config == nil {
		data = config
	} else {
		var err error
		if config, err = json.Marshal(e.config); err != nil {
			return nil, err
		}
		mediaType = e.manifest.Config.MediaType
	}
	var err error
	if e.manifest.Config, err = e.blobs.add(mediaType, config); err != nil {
		return nil, err
	}
	e.manifest.Config.Data = data
	raw, err := json.MarshalIndent(e.manifest, "", "  ")
	if err != nil {
		return nil, err
	}
	desc, err := e.blobs.add(e.manifest.MediaType, raw)
	if err != nil {
		return nil, err
	}
	return newLoader(ctx, e.blobs, &bases{}).image(ctx, desc)
}
