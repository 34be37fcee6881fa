#!/bin/sh
# Bring an image into the cluster: migrate, replace the pods one after the other, ask whether the
# new ones answer. When they do not, those from before come back; the database stays migrated, which
# the version before is made for (docs/deployment.md), and config.yaml as it is. The pods are replaced
# as well when only config.yaml or the secret has changed: they read both when they start.
#
#   deployment/scripts/deploy.sh registry.example.com/facesvc:0.2.0
#
# Needs kubectl with the right context. ROLLOUT_SECONDS (300) may be set.
set -eu

image=${1:?usage: deploy.sh IMAGE}
seconds=${ROLLOUT_SECONDS:-300}
scripts=$(cd "$(dirname "$0")" && pwd)
manifests=$scripts/../k8s

fail() {
    echo "$*" >&2
    exit 1
}

in_cluster() {
    kubectl --namespace facesvc "$@"
}

# Another image under the same name could not be told from this one, nor brought back.
case ${image##*/} in
*:latest) fail "$image: an image with a version is needed" ;;
*:*) ;;
*) fail "$image: an image with a version is needed" ;;
esac

kubectl apply --filename "$manifests/namespace.yaml" --filename "$manifests/config.yaml"
for secret in SECRET_KEY DATABASE_URL FACESVC_CROP_KEYS FACESVC_TEMPLATE_KEYS; do
    found=$(in_cluster get secret facesvc --ignore-not-found --output "jsonpath={.data.$secret}")
    [ -n "$found" ] || fail "The secret facesvc has no $secret: see docs/deployment.md"
done

"$scripts/migrate.sh" "$image"

# Of a deployment; empty before the first one.
revision() {
    in_cluster get deployment "$1" --ignore-not-found --output \
        'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}'
}
web_before=$(revision web)
worker_before=$(revision worker)
secret=$(in_cluster get secret facesvc --output 'jsonpath={.metadata.resourceVersion}')
settings="$(cksum <"$manifests/config.yaml" | cut -d ' ' -f 1)-$secret"

# By the versioned name: kustomize would write its own.
replace_pods() {
    kubectl kustomize "$manifests" |
        sed -e "s|image: facesvc:.*|image: $image|" \
            -e "s|facesvc/settings: .*|facesvc/settings: \"$settings\"|" |
        kubectl apply --filename -
}

go_back() {
    [ -z "$2" ] || in_cluster rollout undo "deployment/$1" --to-revision="$2" >&2 || true
}

# After a stop: the autoscaler leaves a deployment alone that was scaled to 0.
start_if_stopped() {
    replicas=$(in_cluster get deployment/web --output 'jsonpath={.spec.replicas}')
    [ "$replicas" != 0 ] || in_cluster scale deployment/web --replicas=2
}

# The probe is asked inside a new pod, past the ingress.
if replace_pods &&
    start_if_stopped &&
    in_cluster rollout status deployment/web --timeout="${seconds}s" &&
    in_cluster rollout status deployment/worker --timeout="${seconds}s" &&
    in_cluster exec deployment/web -- python -m facesvc.running.probe; then
    echo "$image serves"
    exit 0
fi
echo "$image does not serve; going back" >&2
go_back web "$web_before"
go_back worker "$worker_before"
fail "$image was taken back"
