#!/bin/sh
# Bring the database up to date with an image, as a job in the cluster, and wait for it.
#
#   deployment/scripts/migrate.sh IMAGE
#
# MIGRATE_SECONDS (900) may be set. Exit code 1 when it did not end well; each migration is one
# transaction, so that the database is then as it was before the one that failed.
set -eu

image=${1:?usage: migrate.sh IMAGE}
seconds=${MIGRATE_SECONDS:-900}
manifests=$(cd "$(dirname "$0")/../k8s" && pwd)

job=$(sed "s|image: facesvc\$|image: $image|" "$manifests/migrate-job.yaml" |
    kubectl create --filename - --output name)
echo "Migrating: $job"

left=$seconds
while [ "$left" -gt 0 ]; do
    state=$(kubectl --namespace facesvc get "$job" --output \
        'jsonpath={.status.conditions[?(@.status=="True")].type}')
    case $state in
    *Complete*)
        echo "The database is up to date"
        exit 0
        ;;
    *Failed*) break ;;
    esac
    sleep 2
    left=$((left - 2))
done

kubectl --namespace facesvc logs "$job" --tail=50 >&2 || true
echo "The migration did not end well: ${state:-still running after $seconds s}" >&2
exit 1
