# Twenty starts at once; count the answers. Needs: ./workshop run 04 --solution --api 2
url=${1:-http://127.0.0.1:8000}
for i in $(seq 20); do
    curl -s -o /dev/null -w '%{http_code}\n' "$url/start" --json '{"seconds": 10}' &
done | sort | uniq -c | awk '{ print $1 " x " $2 }'
