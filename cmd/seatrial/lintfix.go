package main

// ruleSecrets is BuildKit's rule about names such as TOKEN.
const ruleSecrets = "SecretsUsedInArgOrEnv"

// lintFixes say what to do about a violation of a rule of BuildKit's linter.
var lintFixes = map[string]string{
	ruleSecrets:                       "it stays in the image: give it with --secret id=ID,src=FILE (or env=VARIABLE), and read it in RUN --mount=type=secret,id=ID",
	"StageNameCasing":                 "write the stage's name in lower case, here and where it is used",
	"FromAsCasing":                    "write FROM and AS in the same case",
	"NoEmptyContinuation":             "remove the empty line behind the backslash",
	"ConsistentInstructionCasing":     "write all instructions in the same case",
	"DuplicateStageName":              "give one of the stages another name",
	"ReservedStageName":               "give the stage another name",
	"JSONArgsRecommended":             `write ["PROGRAM", "ARGUMENT"], so that the program itself gets the signals`,
	"MaintainerDeprecated":            "write LABEL org.opencontainers.image.authors=NAME instead",
	"UndefinedArgInFrom":              "declare it by ARG before the first FROM, or correct its name",
	"WorkdirRelativePath":             "begin with an absolute WORKDIR: the base image's may change",
	"UndefinedVar":                    "declare it by ARG or ENV in this stage, or correct its name",
	"MultipleInstructionsDisallowed":  "remove all but the last: only that one has an effect",
	"LegacyKeyValueFormat":            "write NAME=VALUE",
	"InvalidBaseImagePlatform":        "name an image that is there for the platform",
	"RedundantTargetPlatform":         "remove --platform: this is what it is without",
	"InvalidDefaultArgInFrom":         "give the ARG a default with which the name of the image is valid",
	"FromPlatformFlagConstDisallowed": "leave --platform out, or name it by a variable such as $BUILDPLATFORM",
	"CopyIgnoredFile":                 "take it out of .dockerignore, or do not copy it",
	"InvalidDefinitionDescription":    "begin the comment with the name that it describes, or put an empty line behind it",
	"ExposeProtoCasing":               "write the protocol in lower case",
	"ExposeInvalidFormat":             "write PORT or PORT/PROTOCOL: where it is reached is decided when the image runs",
}
