package config

import (
	"reflect"

	"go.yaml.in/yaml/v4"
)

// File is what a seatrial.yaml says.
type File struct {
	source

	Image    List         `key:"image" doc:"Name of the image, as registry.example.com/team/app, with or without a tag; several across registries."`
	Tags     List         `key:"tags" doc:"Tags of the names that have none. One that is empty once its variables are replaced is left out."`
	Build    Build        `key:"build" doc:"How the image is built."`
	Tests    []Test       `key:"tests" doc:"What is tried on the image before it is pushed."`
	Services Map[Service] `key:"services" doc:"Containers that tests name in their services."`
	Testing  Testing      `key:"testing" doc:"How all tests are run."`
	Push     Push         `key:"push" doc:"What comes with the image to the registries, and how."`
	Reports  Reports      `key:"reports" doc:"Where results are written to."`
	Builder  Builder      `key:"builder" doc:"Who builds."`
}

// Build are options of the build. They are parsed where flags are.
type Build struct {
	Dockerfile       Path      `key:"dockerfile" flag:"file" doc:"Path of the Dockerfile."`
	Target           Stage     `key:"target" flag:"target" doc:"Stage that becomes the image; default: the last."`
	Platforms        List      `key:"platforms" flag:"platform" doc:"Platforms to build for, as linux/arm64."`
	Args             Pairs     `key:"args" flag:"build-arg" doc:"Values for ARG; a name alone takes the environment's value."`
	Contexts         Contexts  `key:"contexts" flag:"build-context" doc:"What replaces images and stages: a directory, docker-image://REF, oci-layout://PATH, target:STAGE or a URL."`
	Labels           Pairs     `key:"labels" flag:"label" doc:"Labels of the image."`
	Annotations      Pairs     `key:"annotations" flag:"annotation" doc:"Annotations of the image: [TYPE:]KEY."`
	Secrets          Secrets   `key:"secrets" flag:"secret" doc:"Secrets for RUN --mount=type=secret, by id."`
	SSH              SSH       `key:"ssh" flag:"ssh" doc:"SSH agents and keys for RUN --mount=type=ssh, as default or ID=PATH."`
	NoCache          Bool      `key:"no-cache" flag:"no-cache" doc:"Build every step anew."`
	NoCacheFilter    List      `key:"no-cache-filter" flag:"no-cache-filter" doc:"Stages to build anew."`
	Pull             Bool      `key:"pull" flag:"pull" doc:"Ask the registry for base images even if the builder has them."`
	CacheFrom        Locations `key:"cache-from" flag:"cache-from" doc:"Caches to look for finished steps in: type=registry|local|gha|s3|azblob,…, or a reference."`
	CacheTo          Locations `key:"cache-to" flag:"cache-to" doc:"Caches to keep finished steps in."`
	Network          Text      `key:"network" flag:"network" doc:"Network of RUN instructions and tests: default, none or host."`
	ExtraHosts       Pairs     `key:"extra-hosts" flag:"add-host" doc:"More lines of /etc/hosts: NAME: IP."`
	ShmSize          Text      `key:"shm-size" flag:"shm-size" doc:"Size of /dev/shm, as 64m."`
	Ulimits          Pairs     `key:"ulimits" flag:"ulimit" doc:"Limits of RUN instructions and tests, as nofile: 1024:2048."`
	Resources        Pairs     `key:"resources" flag:"resource" doc:"What each RUN instruction and test may take, as memory: 2g."`
	CgroupParent     Text      `key:"cgroup-parent" flag:"cgroup-parent" doc:"Parent cgroup of RUN instructions and tests."`
	Allow            List      `key:"allow" flag:"allow" doc:"Entitlements: network.host, security.insecure, device."`
	AllowFrontends   List      `key:"allow-frontends" flag:"allow-frontend" doc:"Frontend images that # syntax= may name. They can read everything that the build offers."`
	SourcePolicyFile Path      `key:"source-policy-file" flag:"source-policy-file" doc:"Policy that allows, denies and replaces sources."`
	Compression      Text      `key:"compression" flag:"compression" doc:"Compression of the layers: gzip, zstd, estargz or uncompressed."`
	CompressionLevel Int       `key:"compression-level" flag:"compression-level" doc:"Level of the compression."`
	ForceCompression Bool      `key:"force-compression" flag:"force-compression" doc:"Compress layers anew that the builder has compressed otherwise: those of base images, and of steps that it has built before."`
	Provenance       Text      `key:"provenance" flag:"provenance" doc:"Attest how the image was built: true, or mode=min|max,…"`
	SBOM             Text      `key:"sbom" flag:"sbom" doc:"Attest what is in the image: true, or generator=IMAGE,…"`
	Attest           List      `key:"attest" flag:"attest" doc:"Attestations: type=provenance|sbom,…"`
	Reproducible     Bool      `key:"reproducible" flag:"reproducible" doc:"Give files and image the time of SOURCE_DATE_EPOCH, so that two builds make one digest."`
	Outputs          Locations `key:"outputs" flag:"output" doc:"Where else the image is written to once it has passed: a directory, or type=local|tar|oci|docker,dest=…"`
}

// Testing are options of all tests.
type Testing struct {
	Reports     List     `key:"reports" flag:"report" doc:"Paths and patterns of files that every test brings back."`
	Timeout     Duration `key:"timeout" flag:"test-timeout" doc:"How long a test may run, if it does not say so itself."`
	AllTimeout  Duration `key:"all-timeout" flag:"tests-timeout" doc:"How long all tests together may run."`
	Retries     Int      `key:"retries" flag:"test-retries" doc:"How often a test that failed is tried again, if it does not say so itself."`
	Jobs        Int      `key:"jobs" flag:"test-jobs" doc:"How many tests run side by side."`
	FailFast    Bool     `key:"fail-fast" flag:"fail-fast" doc:"Stop the other tests when one has failed."`
	FailOnFlaky Bool     `key:"fail-on-flaky" flag:"fail-on-flaky" doc:"Take a test that passed on a retry for one that failed."`
	NoCache     Bool     `key:"no-cache" flag:"no-test-cache" doc:"Run tests that passed on this image before, too."`
	Forwards    List     `key:"forwards" flag:"forward" doc:"Services that run elsewhere, for every test: NAME=HOST:PORT, as the machine that seatrial runs on reaches them."`
	Platforms   List     `key:"platforms" flag:"test-platform" doc:"Platforms of the image to test on; default: all that it is built for."`
}

// Push are options of the push, and of what is put beside the image.
type Push struct {
	Verify      Bool    `key:"verify" flag:"verify-push" doc:"Ask the registries for every blob and manifest of the image before tags move."`
	AttestTests Bool    `key:"attest-tests" flag:"attest-tests" doc:"Put the names of the tests that passed into the image's index; default: true."`
	Sign        SignKey `key:"sign" flag:"sign" doc:"Sign the result of the tests: keyless, or key=FILE. The key's password is in COSIGN_PASSWORD."`
}

// Reports are files with results.
type Reports struct {
	Dir          Path `key:"dir" flag:"report-dir" doc:"Directory that tests' files are brought back to."`
	JUnit        Path `key:"junit" flag:"junit" doc:"The merged result of all tests, as JUnit XML."`
	ResultFile   Path `key:"result-file" flag:"result-file" doc:"What happened, as JSON."`
	MetadataFile Path `key:"metadata-file" flag:"metadata-file" doc:"The image's metadata, as buildx writes it."`
	IIDFile      Path `key:"iidfile" flag:"iidfile" doc:"The image's ID."`
}

// Builder is the buildkitd to use.
type Builder struct {
	Addr          List `key:"addr" flag:"addr" doc:"Addresses of buildkitds; auto, private, unix://, tcp://, ssh://, … BUILDKIT_HOST overrides them."`
	TLSDir        Path `key:"tlsdir" flag:"tlsdir" doc:"Directory with ca.pem, cert.pem and key.pem."`
	TLSCACert     Path `key:"tlscacert" flag:"tlscacert" doc:"CA that the builder's certificate is checked against."`
	TLSCert       Path `key:"tlscert" flag:"tlscert" doc:"Client certificate."`
	TLSKey        Path `key:"tlskey" flag:"tlskey" doc:"Client key."`
	TLSServerName Text `key:"tlsservername" flag:"tlsservername" doc:"Name in the builder's certificate."`
}

// Load checks the data of a file, which errors call by name, and that what it says
// makes sense by itself. Nothing is looked up yet.
func Load(name string, data []byte) (*File, error) {
	src := source{name, data}
	f := &File{source: src}
	root, err := parse(src)
	if err != nil || root == nil {
		return f, err
	}
	d := &decoder{source: src, merging: map[*yaml.Node]bool{}}
	if err := d.value(root, reflect.ValueOf(f)); err != nil {
		return nil, err
	}
	return f, nil
}

// check implements checked.
func (f *File) check(d *decoder) error {
	if len(f.Tags.items) > 0 && len(f.Image.items) == 0 {
		return d.errorf(f.Tags.items[0].Pos, "image: registry.example.com/team/app", "there are tags, but no image that has them")
	}
	if err := f.checkServices(); err != nil {
		return err
	}
	return f.checkTests()
}
