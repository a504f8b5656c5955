#!/bin/sh
# `IMAGE fold ...` runs un-deploy, `IMAGE sh -c ...` a shell: so do GitLab and others start a job.
case ${1:-} in
sh | bash | python | python3 | un-deploy | /*) exec "$@" ;;
*) exec un-deploy "$@" ;;
esac
