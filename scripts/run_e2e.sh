#!/usr/bin/env bash
# One run of the whole pipeline, for operators.
#
#   RUN_ID=smoke-1 EPOCHS=3 INPUT_PATH=my.csv bash scripts/run_e2e.sh
#
# Each variable is optional and is written to params.yaml; what is not given stays as it is there.
# Exits 0, or with the code of the stage that failed (docs/runbook.md lists the codes).
set -u
case "${1:-}" in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

cd "$(dirname "$0")/.." || exit 1
[ -d .venv/bin ] && PATH="$PWD/.venv/bin:$PATH"
SPLINE_LSTM_OUTCOME=$(mktemp) || exit 1  # every stage appends its outcome, a line of JSON
export SPLINE_LSTM_OUTCOME
trap 'rm -f "$SPLINE_LSTM_OUTCOME"' EXIT

settings=()
[ -n "${RUN_ID+given}" ] && settings+=(--set "run_id=$RUN_ID")
[ -n "${EPOCHS+given}" ] && settings+=(--set "train.epochs=$EPOCHS")
[ -n "${INPUT_PATH+given}" ] && settings+=(--set "data.path=$INPUT_PATH")
python -m stages.preflight ${settings[@]+"${settings[@]}"} || exit $?

dvc repro && exit 0
dvc_code=$?
stage_code=$(tail -n 1 "$SPLINE_LSTM_OUTCOME" | python -c 'import json, sys; print(json.load(sys.stdin)["exit_code"])')
[ "${stage_code:-0}" != 0 ] && exit "$stage_code"
exit "$dvc_code"  # no stage failed: DVC itself did, and has said why
