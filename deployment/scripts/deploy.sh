#!/bin/sh
# Bring an image into the cluster: migrate, replace the pods one after the other, ask whether the
# new ones answer. When they do not, those from before come back; the database stays migrated, which
# the version before is made for (docs/deployment.md).
#
#   deployment/scripts/deploy.sh registry.example.com/facesvc:0.1.0
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
for secret in SECRET_KEY DATABASE_URL FACESVC_CROP_KEYS; do
    found=$(in_cluster get secret facesvc --ignore-not-found --output "jsonpath={.data.$secret}")
    [ -n "$found" ] || fail "The secret facesvc has no $secret: see docs/deployment.md"
done

"$scripts/migrate.sh" "$image"

# By the versioned name: kustomize would write its own.
kubectl kustomize "$manifests" | sed "s|image: facesvc:.*|image: $image|" |
    kubectl apply --filename -

# After a stop: the autoscaler leaves a deployment alone that was scaled to 0.
if [ "$(in_cluster get deployment/web --output 'jsonpath={.spec.replicas}')" = 0 ]; then
    in_cluster scale deployment/web --replicas=2
fi

# The probe is asked inside a new pod, past the ingress.
if in_cluster rollout status deployment/web --timeout="${seconds}s" &&
    in_cluster rollout status deployment/worker --timeout="${seconds}s" &&
    in_cluster exec deployment/web -- python -m facesvc.probe; then
    echo "$image serves"
    exit 0
fi
echo "$image does not serve; going back" >&2
for name in web worker; do
    in_cluster rollout undo "deployment/$name" >&2 || true # nothing before the first deployment
done
fail "$image was taken back"
