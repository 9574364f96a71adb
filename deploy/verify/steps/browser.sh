#!/usr/bin/env bash
# The web page in a real browser: every page opened, acted on, photographed and judged; with 10,000 nodes too (tests/browser).
# needs: programs
exec "$(dirname "$0")/../../../tests/browser/run.sh" "$@"
