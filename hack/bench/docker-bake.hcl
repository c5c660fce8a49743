# What the benchmark has `buildx bake` build: the test and the image of a flask
# project, side by side. Nothing keeps bake from pushing an image whose test
# failed: it is here for its speed.

variable "CONTEXT" {}
variable "BASE" {}
variable "REPOSITORY" {}

group "default" {
  targets = ["test", "image"]
}

target "project" {
  context    = CONTEXT
  dockerfile = "stages.Dockerfile"
  contexts = {
    "python:3-slim" = BASE
  }
}

target "test" {
  inherits = ["project"]
  target   = "test"
  output   = ["type=cacheonly"]
}

target "image" {
  inherits = ["project"]
  target   = "image"
  tags     = ["${REPOSITORY}:1", "${REPOSITORY}:latest"]
  output   = ["type=image,push=true"]
}
