# catalog against moto, whose EC2 and SSM we did not write: its documents are shaped as AWS's are.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.."
	export BINDIR=${BINDIR:-$PWD/bin}
	export PATH=$BINDIR:$PATH
	path=$(tests/interop/fetch-moto 2>/dev/null) || return 0
	export MOTO=there
	export AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
	export ACCLIMATE_CATALOG_CONFIG=$BATS_FILE_TMPDIR/catalog.yaml XDG_CACHE_HOME=$BATS_FILE_TMPDIR/cache
	export ACCLIMATE_STORE=$BATS_FILE_TMPDIR/store
	echo 'sources: {ec2: {type: ec2}}' >"$ACCLIMATE_CATALOG_CONFIG"
	PYTHONPATH=$path python3 -B -m moto.server -H 127.0.0.1 -p 0 >"$BATS_FILE_TMPDIR/moto.log" 2>&1 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/pid"
	for _ in $(seq 1200); do
		AWS_ENDPOINT_URL=$(grep -o 'http://127.0.0.1:[0-9]*' "$BATS_FILE_TMPDIR/moto.log" | head -n 1) || true
		[ -z "$AWS_ENDPOINT_URL" ] || break
		sleep 0.1
	done
	export AWS_ENDPOINT_URL
	for _ in $(seq 1200); do
		curl -s -o /dev/null "$AWS_ENDPOINT_URL/moto-api/" && return 0
		sleep 0.1
	done
	cat "$BATS_FILE_TMPDIR/moto.log"
	return 1
}
setup() { [ -n "${MOTO:-}" ] || skip "moto cannot be had"; }
teardown_file() { [ ! -e "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")"; }

@test "as many images are listed as awscli sees, and the same ids" {
	catalog list --owner all -o json | jq -r '.[].id' | sort >"$BATS_TEST_TMPDIR/ours"
	aws ec2 describe-images --endpoint-url "$AWS_ENDPOINT_URL" --query 'Images[].ImageId' --output json |
		jq -r '.[]' | sort >"$BATS_TEST_TMPDIR/theirs"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/ours")" -gt 500 ]
	cmp "$BATS_TEST_TMPDIR/ours" "$BATS_TEST_TMPDIR/theirs"
}

@test "filters and owners mean the same" {
	catalog list --owner 099720109477 --filter name='*trusty*' -o json | jq -r '.[].id' | sort >"$BATS_TEST_TMPDIR/ours"
	aws ec2 describe-images --endpoint-url "$AWS_ENDPOINT_URL" --owners 099720109477 \
		--filters 'Name=name,Values=*trusty*' --query 'Images[].ImageId' --output json |
		jq -r '.[]' | sort >"$BATS_TEST_TMPDIR/theirs"
	[ -s "$BATS_TEST_TMPDIR/ours" ]
	cmp "$BATS_TEST_TMPDIR/ours" "$BATS_TEST_TMPDIR/theirs"
}

@test "Amazon's public parameters lead to an AMI" {
	name=/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64
	theirs=$(aws ssm get-parameter --endpoint-url "$AWS_ENDPOINT_URL" --name $name --query Parameter.Value --output text)
	[ "$(catalog show ssm:$name -o json | jq -r .id)" = "$theirs" ]
	run -1 catalog show ssm:/aws/service/nothing
	[[ $output == *ParameterNotFound* ]]
}
