# Four starts, of which one makes sense. Needs: ./workshop run 03 --solution
url=${1:-http://127.0.0.1:8000}
for body in '{"seconds": 3}' '{"seconds": "soon"}' '{"seconds": -1}' '{"rows": 1.5}'; do
    answer=$(curl -s "$url/start" --json "$body" -w '%{http_code}')
    code=$(printf %s "$answer" | tail -c 3)
    why=$(printf %s "$answer" | sed -n 's/.*"msg":"\([^"]*\)".*/\1/p')
    printf '%-20s %s\n' "$body" "$code"
    test -z "$why" || echo "    $why"
done
