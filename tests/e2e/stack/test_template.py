"""What the template creates in an AWS account, mainly what the AWS emulators ignore: schedule, alarms, policies."""

import importlib.util
import json
import re
import tomllib
import unittest

import template

ROOT = template.PATH.parents[1]
OPERATIONS = "docs/OPERATIONS.md"
DEPLOY = "docs/DEPLOY-AWS.md"
FUNCTIONS = {"SchedulerFunction": "scheduler", "PollerFunction": "poller", "NotifierFunction": "notifier",
             "SlackFunction": "slack"}
DEAD_LETTERS = {"ChecksQueue": "ChecksDeadLetterQueue", "ChangesQueue": "ChangesDeadLetterQueue"}
DAY_SECS = 86_400
PREFIX = "/github-runner-monitor"
# The only dimension of the monitor's own metrics.
OWN = [{"Name": "Stack", "Value": template.STACK}]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def section(page, title):
    """The text below a heading of a page, up to the next heading of the same or a higher level."""
    _, _, below = text(page).partition(f"\n{title}\n")
    lines, is_code = [], False
    for line in below.splitlines(keepends=True):
        is_code ^= line.startswith("```")
        if not is_code and re.match(rf"#{{1,{title.index(' ')}}} ", line):
            break
        lines.append(line)
    return "".join(lines)


def arn_of(id_):
    return {"Fn::GetAtt": [id_, "Arn"]}


def deployed_as():
    """The default name of the stack."""
    return tomllib.loads(text("infra/samconfig.toml"))["default"]["global"]["parameters"]["stack_name"]


def loaded(path):
    """Loads a program of the repository as a module."""
    spec = importlib.util.spec_from_file_location("program", ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ref(id_):
    return {"Ref": id_}


def listed(value):
    return value if isinstance(value, list) else [value]


class Stack:
    def __init__(self, **given):
        self.template = template.resolved(given)
        self.resources = self.template["Resources"]

    def of_type(self, kind):
        return {id_: each["Properties"] for id_, each in self.resources.items() if each["Type"] == kind}

    def one(self, kind):
        ((_, properties),) = self.of_type(kind).items()
        return properties

    def properties(self, id_):
        return self.resources[id_]["Properties"]

    def statements(self, function):
        """All policy statements of a function's role."""
        role = self.properties(self.properties(function)["Role"]["Fn::GetAtt"][0])
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        for managed in role.get("ManagedPolicyArns", []):
            # An AWS managed policy would be a string, and its content could not be checked here.
            documents.append(self.properties(managed["Ref"])["PolicyDocument"])
        # A policy about the function itself cannot be in the role.
        documents += [policy["PolicyDocument"] for policy in self.of_type("AWS::IAM::Policy").values()
                      if self.properties(function)["Role"] == arn_of(policy["Roles"][0]["Ref"])]
        return [statement for document in documents for statement in document["Statement"]]

    def allowed(self, function, prefix=""):
        """Pairs of an allowed action with this prefix and its resource."""
        return {(action, json.dumps(resource)) for statement in self.statements(function)
                for action in listed(statement["Action"]) if action.startswith(prefix)
                for resource in listed(statement["Resource"])}


class TemplateTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()

    # ---- schedule

    def test_the_scheduler_is_invoked_at_each_interval_and_by_nobody_else(self):
        schedule = self.stack.one("AWS::Scheduler::Schedule")
        self.assertEqual(schedule["ScheduleExpression"], "cron(0/5 * * * ? *)")
        self.assertEqual(schedule["State"], "ENABLED")
        self.assertEqual(schedule["FlexibleTimeWindow"], {"Mode": "OFF"})
        target = schedule["Target"]
        self.assertEqual(target["Arn"], arn_of("SchedulerFunction"))
        # A tick that cannot be delivered is useless once the next one is due.
        self.assertLessEqual(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 300)
        self.assertGreaterEqual(target["RetryPolicy"]["MaximumRetryAttempts"], 1)
        role = self.stack.properties(target["RoleArn"]["Fn::GetAtt"][0])
        (policy,) = role["Policies"]
        allowed = {(statement["Action"], json.dumps(statement["Resource"]))
                   for statement in policy["PolicyDocument"]["Statement"]}
        self.assertEqual(allowed, {("lambda:InvokeFunction", json.dumps(arn_of("SchedulerFunction"))),
                                   ("sqs:SendMessage", json.dumps(arn_of("ChecksDeadLetterQueue")))})
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(trust["Principal"], {"Service": "scheduler.amazonaws.com"})

    def test_a_tick_that_is_not_delivered_or_fails_is_dead_lettered_with_an_alarm(self):
        target = self.stack.one("AWS::Scheduler::Schedule")["Target"]
        self.assertEqual(target["DeadLetterConfig"], {"Arn": arn_of("ChecksDeadLetterQueue")}, "not delivered")
        config = self.asynchronous("SchedulerFunction")
        self.assertEqual(config["DestinationConfig"]["OnFailure"]["Destination"], arn_of("ChecksDeadLetterQueue"))
        self.assertIn(("sqs:SendMessage", json.dumps(arn_of("ChecksDeadLetterQueue"))),
                      self.stack.allowed("SchedulerFunction"), "failed at each attempt")
        # EventBridge Scheduler and Lambda deliver to a standard queue only.
        self.assertNotIn("FifoQueue", self.stack.properties("ChecksDeadLetterQueue"))

    def asynchronous(self, function):
        """How a function is invoked asynchronously."""
        (found,) = [config for config in self.stack.of_type("AWS::Lambda::EventInvokeConfig").values()
                    if config["FunctionName"] == ref(function)]
        return found

    def test_no_service_may_assume_a_role_for_another_account(self):
        roles = self.stack.of_type("AWS::IAM::Role")
        self.assertEqual(len(roles), len(FUNCTIONS) + 1)
        for id_, role in roles.items():
            for statement in role["AssumeRolePolicyDocument"]["Statement"]:
                self.assertEqual(statement["Condition"], {"StringEquals": {"aws:SourceAccount": template.ACCOUNT}}, id_)

    def test_every_queue_refuses_requests_without_tls(self):
        policy = self.stack.one("AWS::SQS::QueuePolicy")
        queues = set(self.stack.of_type("AWS::SQS::Queue"))
        self.assertEqual({each["Ref"] for each in policy["Queues"]}, queues)
        (statement,) = policy["PolicyDocument"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Principal"], statement["Action"]), ("Deny", "*", "sqs:*"))
        self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}})

    def test_the_interval_is_one_parameter_for_schedule_functions_and_dead_mans_switch(self):
        for minutes in self.allowed_values("IntervalMinutes"):
            stack = Stack(IntervalMinutes=minutes)
            expression = stack.one("AWS::Scheduler::Schedule")["ScheduleExpression"]
            self.assertEqual(expression, f"cron(0/{minutes} * * * ? *)")
            for function in FUNCTIONS:
                variables = stack.properties(function)["Environment"]["Variables"]
                self.assertEqual(variables["CHECK_INTERVAL_SECS"], str(60 * minutes), function)
            alarm = stack.properties("SilentAlarm")
            silent_secs = alarm["Period"] * alarm["EvaluationPeriods"]
            self.assertEqual(silent_secs, max(15 * 60, 3 * 60 * minutes), f"{minutes} minutes")

    def test_a_failed_tick_is_retried_but_not_for_longer_than_an_interval(self):
        config = self.asynchronous("SchedulerFunction")
        self.assertGreaterEqual(config["MaximumRetryAttempts"], 1)
        self.assertLessEqual(config["MaximumEventAgeInSeconds"], 300)

    def test_the_schedule_can_be_paused(self):
        self.assertEqual(Stack(ScheduleState="DISABLED").one("AWS::Scheduler::Schedule")["State"], "DISABLED")

    def allowed_values(self, parameter):
        return template.source()["Parameters"][parameter]["AllowedValues"]

    # ---- functions

    def test_each_function_is_built_from_its_own_folder_for_arm_or_else_for_intel(self):
        written = template.source()["Resources"]
        for architecture in self.allowed_values("Architecture"):
            stack = Stack(Architecture=architecture)
            self.assertEqual(set(stack.of_type("AWS::Lambda::Function")) & set(FUNCTIONS), set(FUNCTIONS))
            for function in stack.of_type("AWS::Lambda::Function").values():
                self.assertEqual(function["Architectures"], [architecture])
                self.assertEqual(function["Runtime"], "provided.al2023")
        self.assertEqual(self.stack.properties("PollerFunction")["Architectures"], ["arm64"])
        for id_, binary in FUNCTIONS.items():
            self.assertEqual(written[id_]["Properties"]["CodeUri"].strip("./"), f"functions/{binary}")
            metadata = written[id_]["Metadata"]
            self.assertEqual(metadata, {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": binary}})

    def test_functions_find_their_queues_and_parameters(self):
        wanted = {
            "SchedulerFunction": {"CHECKS_QUEUE_URL": "ChecksQueue", "CHANGES_QUEUE_URL": "ChangesQueue"},
            "PollerFunction": {"CHECKS_QUEUE_URL": "ChecksQueue", "CHANGES_QUEUE_URL": "ChangesQueue",
                               "CHECKS_DEAD_LETTER_QUEUE_URL": "ChecksDeadLetterQueue"},
            "NotifierFunction": {"CHANGES_DEAD_LETTER_QUEUE_URL": "ChangesDeadLetterQueue"},
            "SlackFunction": {"CHECKS_QUEUE_URL": "ChecksQueue"},
        }
        for function, queues in wanted.items():
            variables = self.stack.properties(function)["Environment"]["Variables"]
            for name, queue in queues.items():
                self.assertEqual(variables.get(name), ref(queue), f"{function} {name}")
            self.assertEqual(variables["PARAMETER_PREFIX"], PREFIX)

    def variables(self):
        """The environment variables of each function."""
        return {function: self.stack.properties(function)["Environment"]["Variables"] for function in FUNCTIONS}

    def test_every_setting_can_be_given_to_a_function_as_a_variable(self):
        shared = section("docs/CONFIGURATION.md", "## Settings").partition("### Settings of the program alone")[0]
        settings = re.findall(r"^\| `([A-Z_]+)` \|", shared, re.MULTILINE)
        self.assertGreater(len(settings), 20)
        for function, variables in self.variables().items():
            missing = [name for name in settings if name not in variables]
            self.assertEqual(missing, ["OUTAGE_RETENTION"], f"{function}: only a store in a file uses OUTAGE_RETENTION")

    def test_the_limits_of_github_are_parameters_and_invalid_values_are_refused(self):
        for parameter, variable in [("RequestsPerMinute", "GITHUB_REQUESTS_PER_MINUTE"),
                                    ("MaximumConcurrentRequests", "GITHUB_MAX_CONCURRENT_REQUESTS")]:
            for function, variables in self.variables().items():
                self.assertEqual(variables[variable], "", f"{function}: an empty value selects the default of shared/config")
                given = Stack(**{parameter: "300"}).properties(function)["Environment"]["Variables"]
                self.assertEqual(given[variable], "300", function)
            pattern = template.source()["Parameters"][parameter]["AllowedPattern"]
            for value in ["", "1", "99999", "100000", "off"]:
                self.assertRegex(value, pattern)
            for value in ["0", "01", "100001", "-1", "1.5", "of", "off1", " 5"]:
                self.assertNotRegex(value, pattern)

    def test_the_example_settings_contain_all_that_a_local_invoke_needs(self):
        example = json.loads(text("events/env.json"))["Parameters"]
        names = {name for variables in self.variables().values() for name in variables}
        self.assertEqual(set(example) - names, set(), "`sam local invoke` would not pass these on")
        self.assertEqual(example["PARAMETER_PREFIX"], "", "parameters must not be read from SSM")
        # `sam local` replaces `!Ref ChecksQueue` by the text `ChecksQueue`.
        queues = {name: value["Ref"] for variables in self.variables().values()
                  for name, value in variables.items() if not isinstance(value, str)}
        for name, queue in queues.items():
            queue_name = self.stack.properties(queue)["QueueName"].replace(template.STACK, deployed_as())
            host, account, last = example.get(name, "//").removeprefix("https://").split("/")
            self.assertRegex(host, r"^sqs\.[a-z0-9-]+\.amazonaws\.com$", name)
            self.assertTrue(len(account) == 12 and account.isdigit(), name)
            self.assertEqual(last, queue_name, name)
        commands = [line for page in (DEPLOY, OPERATIONS, "events/README.md", "events/sign")
                    for line in text(page).splitlines() if re.search("sam local invoke [A-Z]", line)]
        self.assertGreater(len(commands), 5)
        for command in commands:
            self.assertIn("--env-vars env.json", command)

    def test_a_notifier_ends_before_its_claim_does(self):
        self.assertLess(self.stack.properties("NotifierFunction")["Timeout"], 90)

    def test_executions_are_reserved_only_on_demand_and_then_cover_what_the_mappings_use(self):
        for function in self.stack.of_type("AWS::Lambda::Function").values():
            self.assertNotIn("ReservedConcurrentExecutions", function)
        for pollers in (2, 5, 10, 20, 50):
            reserved = Stack(ReserveConcurrency="true", MaximumPollers=str(pollers))
            self.assertEqual(reserved.properties("PollerFunction")["ReservedConcurrentExecutions"], pollers + 1)
            for mapping in reserved.of_type("AWS::Lambda::EventSourceMapping").values():
                function = reserved.properties(mapping["FunctionName"]["Ref"])
                most = mapping["ScalingConfig"]["MaximumConcurrency"]
                self.assertGreaterEqual(function["ReservedConcurrentExecutions"], most)
                if mapping["FunctionName"]["Ref"] == "PollerFunction":
                    self.assertEqual(most, pollers)

    # ---- mappings and queues

    def test_mappings_report_single_failures_and_are_bounded(self):
        mappings = self.stack.of_type("AWS::Lambda::EventSourceMapping").values()
        pairs = {(each["FunctionName"]["Ref"], each["EventSourceArn"]["Fn::GetAtt"][0]) for each in mappings}
        self.assertEqual(pairs, {("PollerFunction", "ChecksQueue"), ("NotifierFunction", "ChangesQueue")})
        for mapping in mappings:
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            self.assertTrue(2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 1000)
            self.assertTrue(1 <= mapping["BatchSize"] <= 10)
            self.assertIsNot(mapping.get("Enabled"), False)
            queue = self.stack.properties(mapping["EventSourceArn"]["Fn::GetAtt"][0])
            if queue.get("FifoQueue"):
                # Lambda refuses a window on a FIFO queue.
                self.assertNotIn("MaximumBatchingWindowInSeconds", mapping)
            function = self.stack.properties(mapping["FunctionName"]["Ref"])
            # AWS recommends six times the timeout, plus the window.
            least_secs = 6 * function["Timeout"] + mapping.get("MaximumBatchingWindowInSeconds", 0)
            self.assertGreaterEqual(queue["VisibilityTimeout"], least_secs, mapping)

    def test_every_queue_is_encrypted_and_its_messages_last_long_enough(self):
        for id_, queue in self.stack.of_type("AWS::SQS::Queue").items():
            self.assertTrue(queue.get("SqsManagedSseEnabled") or queue.get("KmsMasterKeyId"), id_)
            self.assertIn("MessageRetentionPeriod", queue, id_)
        for id_, dead in DEAD_LETTERS.items():
            self.assertEqual(self.stack.properties(dead)["MessageRetentionPeriod"], 14 * DAY_SECS)
            self.assertLess(self.stack.properties(id_)["MessageRetentionPeriod"], 14 * DAY_SECS, id_)

    def test_a_message_that_keeps_failing_goes_to_the_dead_letter_queue_of_its_kind(self):
        for id_, dead in DEAD_LETTERS.items():
            queue, letters = self.stack.properties(id_), self.stack.properties(dead)
            self.assertEqual(queue["RedrivePolicy"]["deadLetterTargetArn"], arn_of(dead))
            self.assertGreaterEqual(queue["RedrivePolicy"]["maxReceiveCount"], 5)
            self.assertEqual(queue.get("FifoQueue"), letters.get("FifoQueue"), "a FIFO queue needs a FIFO dead-letter queue")

    def test_a_slow_command_is_an_invocation_of_the_function_by_itself_for_as_long_as_slack_accepts_its_answer(self):
        config = self.asynchronous("SlackFunction")
        self.assertEqual(config["MaximumEventAgeInSeconds"], 30 * 60)
        self.assertGreaterEqual(config["MaximumRetryAttempts"], 1)
        # The event has a secret address, which must not be kept in a dead-letter queue.
        self.assertFalse(config.get("DestinationConfig"))
        for function in FUNCTIONS:
            wanted = {("lambda:InvokeFunction", json.dumps(arn_of(function)))} if function == "SlackFunction" else set()
            self.assertEqual(self.stack.allowed(function, "lambda:"), wanted, function)

    # ---- the page

    def with_page(self, **given):
        return Stack(ServePage="true", **given)

    def test_the_page_is_off_unless_it_is_asked_for_and_then_adds_no_alarm(self):
        new = set(self.with_page().resources) - set(self.stack.resources)
        self.assertEqual({id_ for id_ in self.stack.resources if id_.startswith("Web")}, set())
        self.assertTrue(new and all(id_.startswith("Web") for id_ in new), new)
        self.assertNotIn("PageUrl", self.stack.template["Outputs"])
        # Nobody is alerted by the page. What is wrong with it is in its log, and ten alarms are free.
        alarms = self.with_page().of_type("AWS::CloudWatch::Alarm")
        self.assertEqual(set(alarms), set(self.stack.of_type("AWS::CloudWatch::Alarm")))
        self.assertLessEqual(len(alarms), 10)
        # A metric is a line that a function prints to stdout, and this one prints none.
        for path in ("main", "handler", "web"):
            self.assertNotIn("publish(", text(f"functions/web/src/{path}.rs"))

    def test_slack_gives_links_to_the_page_that_is_deployed(self):
        address = {"Fn::GetAtt": ["WebApi", "ApiEndpoint"]}
        for stack, expected in [(self.stack, ""), (self.with_page(), address)]:
            variables = stack.properties("SlackFunction")["Environment"]["Variables"]
            self.assertEqual(variables["PAGE_URL"], expected)
        self.assertEqual(self.with_page().template["Outputs"]["PageUrl"]["Value"], address)

    def test_the_function_of_the_page_is_like_the_others(self):
        stack = self.with_page()
        web, others = stack.properties("WebFunction"), stack.properties("NotifierFunction")
        for same in ("Runtime", "MemorySize", "Architectures", "Handler"):
            self.assertEqual(web[same], others[same], same)
        variables = web["Environment"]["Variables"]
        self.assertLessEqual(set(self.variables()["SchedulerFunction"]) - {"CHECKS_QUEUE_URL", "CHANGES_QUEUE_URL", "RECEIVE_JOBS"}, set(variables))
        written = template.source()["Resources"]["WebFunction"]
        self.assertEqual(written["Properties"]["CodeUri"].strip("./"), "functions/web")
        self.assertEqual(written["Metadata"], {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": "web"}})
        self.assertNotIn("ReservedConcurrentExecutions", web)
        reserved = self.with_page(ReserveConcurrency="true").properties("WebFunction")
        self.assertEqual(reserved["ReservedConcurrentExecutions"], 2)
        # An HTTP API waits for 30 s.
        self.assertLess(web["Timeout"], 30)

    def test_the_page_may_read_and_mark_a_link_as_used_and_nothing_else(self):
        prefix = f"arn:aws:ssm:{template.REGION}:{template.ACCOUNT}:parameter{PREFIX}/"
        settings = ["slack-signing-secret", "github-api-url"]
        statelydb = ["statelydb-access-key", "statelydb-store-id", "statelydb-schema-id", "statelydb-region"]
        logs = {(action, json.dumps(arn_of("WebLogs"))) for action in ("logs:CreateLogStream", "logs:PutLogEvents")}

        def reads(names):
            return {("ssm:GetParameters", json.dumps(prefix + name)) for name in names}

        self.assertEqual(self.with_page().allowed("WebFunction"), logs | reads(settings + statelydb))
        stack = self.with_page(Store="dynamodb")
        table, index = json.dumps(arn_of("Table")), json.dumps({"Fn::Sub": "${Table.Arn}/index/targets"})
        reading = {(action, place) for action in ("dynamodb:BatchGetItem", "dynamodb:Query") for place in (table, index)}
        self.assertEqual(stack.allowed("WebFunction"), logs | reads(settings) | reading | {("dynamodb:PutItem", table)})
        (put,) = [each for each in stack.statements("WebFunction") if each["Action"] == "dynamodb:PutItem"]
        self.assertEqual(put["Condition"], {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["monitor"]}})
        # The partition of the monitor's records.
        self.assertIn('Subject::Monitor => f.write_str("monitor")', text("shared/domain/src/subject.rs"))
        key = f"arn:aws:kms:{template.REGION}:{template.ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        encrypted = self.with_page(ParameterKeyArn=key)
        (decrypt,) = [each for each in encrypted.statements("WebFunction") if each["Action"] == "kms:Decrypt"]
        (same,) = [each for each in encrypted.statements("SlackFunction") if each["Action"] == "kms:Decrypt"][:1]
        self.assertEqual(decrypt, same)
        (trust,) = stack.properties("WebRole")["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(trust["Condition"], {"StringEquals": {"aws:SourceAccount": template.ACCOUNT}})

    def test_the_page_has_an_address_of_its_own_with_a_rate_limit_and_a_log_without_links(self):
        stack = self.with_page()
        self.assertEqual(list(stack.properties("WebApi")["Body"]["paths"]), ["$default"])
        stage = stack.properties("WebApiApiGatewayDefaultStage")
        limits = stage["DefaultRouteSettings"]
        # Lambda allows a new account ten executions at once, which the checks need too.
        self.assertLessEqual(limits["ThrottlingRateLimit"], 10)
        # A page is three requests: itself, its style and its script.
        self.assertGreaterEqual(limits["ThrottlingBurstLimit"], 30)
        line = json.loads(stage["AccessLogSettings"]["Format"])
        self.assertTrue(all(value.startswith("$context.") for value in line.values()), line)
        # A link's secret is in the query. `$context.path` is without it.
        self.assertEqual(line["path"], "$context.path")
        self.assertNotIn("query", json.dumps(line).lower())
        for group in ("WebLogs", "WebApiLogs"):
            self.assertGreater(stack.properties(group)["RetentionInDays"], 0)
        (permission,) = [each for each in stack.of_type("AWS::Lambda::Permission").values()
                         if each["FunctionName"] == ref("WebFunction")]
        self.assertEqual(permission["Principal"], "apigateway.amazonaws.com")
        self.assertIn("${WebApi}", permission["SourceArn"]["Fn::Sub"])

    # ---- reports of jobs

    def receiving(self, **given):
        return Stack(ReceiveJobs="true", **given)

    def test_reports_of_jobs_are_off_unless_they_are_asked_for_and_then_add_no_alarm(self):
        new = set(self.receiving().resources) - set(self.stack.resources)
        self.assertEqual({id_ for id_ in self.stack.resources if id_.startswith("Hooks")}, set())
        self.assertTrue(new and all(id_.startswith("Hooks") for id_ in new), new)
        self.assertNotIn("WebhookUrl", self.stack.template["Outputs"])
        self.assertEqual(self.receiving().template["Outputs"]["WebhookUrl"]["Value"], {"Fn::Sub": "${HooksApi.ApiEndpoint}/github"})
        self.assertEqual(set(self.receiving().of_type("AWS::CloudWatch::Alarm")), set(self.stack.of_type("AWS::CloudWatch::Alarm")))
        for path in ("main", "handler", "hooks"):
            self.assertNotIn("publish(", text(f"functions/hooks/src/{path}.rs"))
        for stack, expected in [(self.stack, "false"), (self.receiving(), "true")]:
            for function in ("SchedulerFunction", "PollerFunction"):
                variables = stack.properties(function)["Environment"]["Variables"]
                self.assertEqual(variables["RECEIVE_JOBS"], expected, "without reports no check reads jobs")

    def test_the_function_of_the_reports_is_like_the_others_and_answers_before_github_hangs_up(self):
        stack = self.receiving()
        hooks, others = stack.properties("HooksFunction"), stack.properties("NotifierFunction")
        for same in ("Runtime", "MemorySize", "Architectures", "Handler"):
            self.assertEqual(hooks[same], others[same], same)
        variables = hooks["Environment"]["Variables"]
        self.assertEqual(variables["CHECKS_QUEUE_URL"], ref("ChecksQueue"))
        self.assertLessEqual(set(self.variables()["SchedulerFunction"]) - {"CHANGES_QUEUE_URL", "RECEIVE_JOBS"}, set(variables))
        written = template.source()["Resources"]["HooksFunction"]
        self.assertEqual(written["Properties"]["CodeUri"].strip("./"), "functions/hooks")
        self.assertEqual(written["Metadata"], {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": "hooks"}})
        self.assertNotIn("ReservedConcurrentExecutions", hooks)
        self.assertEqual(self.receiving(ReserveConcurrency="true").properties("HooksFunction")["ReservedConcurrentExecutions"], 5)
        # GitHub waits for 10 s.
        self.assertLess(hooks["Timeout"], 10)

    def test_the_function_of_the_reports_may_read_its_secret_and_send_to_one_queue_and_nothing_else(self):
        secret = f"arn:aws:ssm:{template.REGION}:{template.ACCOUNT}:parameter{PREFIX}/github-webhook-secret"
        allowed = {("logs:CreateLogStream", json.dumps(arn_of("HooksLogs"))), ("logs:PutLogEvents", json.dumps(arn_of("HooksLogs"))),
                   ("ssm:GetParameters", json.dumps(secret)), ("sqs:SendMessage", json.dumps(arn_of("ChecksQueue")))}
        for store in self.allowed_values("Store"):
            self.assertEqual(self.receiving(Store=store).allowed("HooksFunction"), allowed)
        key = f"arn:aws:kms:{template.REGION}:{template.ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        encrypted = self.receiving(ParameterKeyArn=key)
        (decrypt,) = [each for each in encrypted.statements("HooksFunction") if each["Action"] == "kms:Decrypt"]
        (same,) = [each for each in encrypted.statements("SlackFunction") if each["Action"] == "kms:Decrypt"][:1]
        self.assertEqual(decrypt, same)
        (trust,) = encrypted.properties("HooksRole")["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(trust["Condition"], {"StringEquals": {"aws:SourceAccount": template.ACCOUNT}})

    def test_github_reaches_the_function_by_one_route_of_an_api_of_its_own_for_10_000_reports_a_minute(self):
        stack = self.receiving()
        paths = stack.properties("HooksApi")["Body"]["paths"]
        self.assertEqual({path: list(methods) for path, methods in paths.items()}, {"/github": ["post"]})
        stage = stack.properties("HooksApiApiGatewayDefaultStage")
        self.assertGreaterEqual(stage["DefaultRouteSettings"]["ThrottlingRateLimit"] * 60, 10_000)
        line = json.loads(stage["AccessLogSettings"]["Format"])
        self.assertTrue(all(value.startswith("$context.") for value in line.values()), line)
        for group in ("HooksLogs", "HooksApiLogs"):
            self.assertGreater(stack.properties(group)["RetentionInDays"], 0)
        (permission,) = [each for each in stack.of_type("AWS::Lambda::Permission").values()
                         if each["FunctionName"] == ref("HooksFunction")]
        self.assertEqual(permission["Principal"], "apigateway.amazonaws.com")
        self.assertIn("${HooksApi}", permission["SourceArn"]["Fn::Sub"])

    # ---- Slack

    def test_slack_reaches_its_function_by_one_route_with_a_rate_limit(self):
        api = self.stack.one("AWS::ApiGatewayV2::Api")
        self.assertEqual({path: list(methods) for path, methods in api["Body"]["paths"].items()}, {"/slack": ["post"]})
        integration = api["Body"]["paths"]["/slack"]["post"]["x-amazon-apigateway-integration"]
        self.assertEqual(integration["payloadFormatVersion"], "2.0")
        self.assertIn("${SlackFunction.Arn}", integration["uri"]["Fn::Sub"])
        settings = self.stack.one("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"]
        self.assertEqual((settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]), (50, 100))
        permission = self.stack.one("AWS::Lambda::Permission")
        self.assertEqual((permission["FunctionName"], permission["Principal"]),
                         (ref("SlackFunction"), "apigateway.amazonaws.com"))
        self.assertTrue(permission["SourceArn"]["Fn::Sub"].endswith("/POST/slack"), permission)

    def test_an_alarm_fires_before_unsigned_requests_use_up_the_rate_limit_of_slack(self):
        rate = self.stack.one("AWS::ApiGatewayV2::Stage")["DefaultRouteSettings"]["ThrottlingRateLimit"]
        alarm = self.alarm("AWS/ApiGateway", "4xx", "ApiId", ref("SlackApi"))
        self.assertEqual((alarm["Statistic"], alarm["ComparisonOperator"]), ("Sum", "GreaterThanOrEqualToThreshold"))
        self.assertEqual(alarm["EvaluationPeriods"], 1)
        # Bad signatures (401) and throttled requests (429): a hundredth of the rate that crowds out Slack is enough.
        self.assertLess(alarm["Threshold"], rate * alarm["Period"] / 100)

    def test_every_request_of_slack_is_in_an_access_log_without_its_secrets(self):
        settings = self.stack.one("AWS::ApiGatewayV2::Stage")["AccessLogSettings"]
        (group, attribute) = settings["DestinationArn"]["Fn::GetAtt"]
        self.assertEqual((self.stack.resources[group]["Type"], attribute), ("AWS::Logs::LogGroup", "Arn"))
        self.assertTrue(self.stack.properties(group)["LogGroupName"].startswith("/aws/vendedlogs/"))
        line = json.loads(settings["Format"])
        self.assertLessEqual({"$context.identity.sourceIp", "$context.status", "$context.requestId"}, set(line.values()))
        self.assertTrue(all(value.startswith("$context.") for value in line.values()), line)

    def test_the_changes_queue_keeps_the_order_within_a_subject_only(self):
        queue = self.stack.properties("ChangesQueue")
        self.assertTrue(queue["FifoQueue"] and queue["QueueName"].endswith(".fifo"))
        self.assertEqual(queue["DeduplicationScope"], "messageGroup")
        self.assertEqual(queue["FifoThroughputLimit"], "perMessageGroupId")
        self.assertNotIn("FifoQueue", self.stack.properties("ChecksQueue"))

    # ---- policies

    def test_no_policy_has_a_wildcard(self):
        for function in self.stack.of_type("AWS::Lambda::Function"):
            for statement in self.stack.statements(function):
                self.assertEqual(statement["Effect"], "Allow")
                for action in listed(statement["Action"]):
                    self.assertNotIn("*", action, statement)
                for resource in listed(statement["Resource"]):
                    self.assertNotEqual(resource, "*", statement)
                    if isinstance(resource, str) and "*" in resource:
                        # Lists continued in more parameters: `…/repositories/2`.
                        self.assertRegex(resource, r":parameter/.+/(repositories|organizations|enterprises)/\*$")

    def test_each_function_may_send_to_and_receive_from_its_own_queues_only(self):
        receiving = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        wanted = {
            "SchedulerFunction": {"sqs:SendMessage": ["ChecksQueue", "ChangesQueue", "ChecksDeadLetterQueue"]},
            "PollerFunction": {"sqs:SendMessage": ["ChecksQueue", "ChangesQueue", "ChecksDeadLetterQueue"],
                               **{action: ["ChecksQueue"] for action in receiving}},
            "NotifierFunction": {"sqs:SendMessage": ["ChangesDeadLetterQueue"],
                                 **{action: ["ChangesQueue"] for action in receiving}},
            "SlackFunction": {"sqs:SendMessage": ["ChecksQueue"]},
        }
        for function, actions in wanted.items():
            pairs = {(action, json.dumps(arn_of(queue))) for action, queues in actions.items() for queue in queues}
            self.assertEqual(self.stack.allowed(function, "sqs:"), pairs, function)

    def test_each_function_may_read_the_parameters_of_its_own_stage_only(self):
        store = ["statelydb-access-key", "statelydb-store-id", "statelydb-schema-id", "statelydb-region", "policy"]
        lists = [name + end for name in ("repositories", "organizations", "enterprises") for end in ("", "/*")]
        github = ["github-token", "github-app-id", "github-app-private-key", "github-api-url", *lists]
        slack = ["slack-webhook", "slack-webhooks", "slack-bot-token", "slack-channel", "github-api-url"]
        wanted = {"SchedulerFunction": store + github, "PollerFunction": store + github,
                  "NotifierFunction": store + slack,
                  "SlackFunction": [*store, *slack, "slack-signing-secret", "slack-admins"]}
        arn = f"arn:aws:ssm:{template.REGION}:{template.ACCOUNT}:parameter{PREFIX}"
        for function, names in wanted.items():
            pairs = {("ssm:GetParameters", json.dumps(f"{arn}/{name}")) for name in names}
            self.assertEqual(self.stack.allowed(function, "ssm:"), pairs, function)

    def test_a_table_is_created_only_if_records_are_stored_in_it_and_outlives_the_stack(self):
        self.assertEqual(self.stack.of_type("AWS::DynamoDB::Table"), {})
        for function in FUNCTIONS:
            self.assertEqual(self.stack.allowed(function, "dynamodb:"), set(), function)
            self.assertEqual(self.stack.properties(function)["Environment"]["Variables"]["DYNAMODB_TABLE"], "")
        stack = Stack(Store="dynamodb")
        table = stack.one("AWS::DynamoDB::Table")
        self.assertNotIn("TableName", table, "a table of a deleted stack must not be in the way of a new one")
        self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")
        self.assertTrue(table["DeletionProtectionEnabled"])
        self.assertTrue(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
        self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": "expiresAt", "Enabled": True})
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            self.assertEqual(stack.resources["Table"][policy], "Retain")

    def test_each_function_may_do_with_the_table_only_what_its_stage_does(self):
        stack = Stack(Store="dynamodb")
        table = json.dumps({"Fn::GetAtt": ["Table", "Arn"]})
        keeps, deletes = {"BatchGetItem", "PutItem", "Query"}, {"DeleteItem"}
        for function, actions in {"SchedulerFunction": keeps, "PollerFunction": keeps | deletes,
                                  "NotifierFunction": keeps, "SlackFunction": keeps | deletes}.items():
            allowed = stack.allowed(function, "dynamodb:")
            self.assertEqual({action for action, resource in allowed if resource == table},
                             {f"dynamodb:{action}" for action in actions}, function)
            # Only the slack function lists all targets.
            others = {resource for _, resource in allowed if resource != table}
            self.assertEqual(len(others), 1 if function == "SlackFunction" else 0, others)
            self.assertEqual(stack.properties(function)["Environment"]["Variables"]["DYNAMODB_TABLE"], {"Ref": "Table"})
            parameters = {resource for _, resource in stack.allowed(function, "ssm:")}
            self.assertFalse([name for name in parameters if "statelydb" in name], function)
            self.assertTrue([name for name in parameters if name.endswith('/policy"')], function)

    def test_only_the_given_kms_key_may_be_used_to_decrypt(self):
        for function in FUNCTIONS:
            self.assertEqual(self.stack.allowed(function, "kms:"), set())
        key = f"arn:aws:kms:{template.REGION}:{template.ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        stack = Stack(ParameterKeyArn=key)
        for function in FUNCTIONS:
            self.assertEqual(stack.allowed(function, "kms:"), {("kms:Decrypt", json.dumps(key))}, function)
            decrypt = [each for each in stack.statements(function) if each["Action"] == "kms:Decrypt"]
            for statement in decrypt:
                parameters = f"arn:aws:ssm:{template.REGION}:{template.ACCOUNT}:parameter{PREFIX}/*"
                self.assertEqual(statement["Condition"], {
                    "StringEquals": {"kms:ViaService": f"ssm.{template.REGION}.amazonaws.com"},
                    "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": parameters}}, function)

    def test_each_function_writes_only_to_its_own_log_which_has_a_retention(self):
        for function in FUNCTIONS:
            group = self.stack.properties(function)["LoggingConfig"]["LogGroup"]["Ref"]
            self.assertGreater(self.stack.properties(group)["RetentionInDays"], 0)
            pairs = {(action, json.dumps(arn_of(group))) for action in ("logs:CreateLogStream", "logs:PutLogEvents")}
            self.assertEqual(self.stack.allowed(function, "logs:"), pairs, function)
        groups = self.stack.of_type("AWS::Logs::LogGroup")
        self.assertTrue(all("RetentionInDays" in group for group in groups.values()), groups)

    def test_nothing_else_is_allowed(self):
        known = ("sqs:", "ssm:", "kms:", "logs:", "lambda:")
        for function in FUNCTIONS:
            others = [action for action, _ in self.stack.allowed(function) if not action.startswith(known)]
            self.assertEqual(others, [], function)

    # ---- alarms

    def test_every_alarm_notifies_the_topic_when_it_fires_and_when_it_is_over(self):
        alarms = self.stack.of_type("AWS::CloudWatch::Alarm")
        self.assertGreaterEqual(len(alarms), 10)
        for id_, alarm in alarms.items():
            self.assertEqual(alarm["AlarmActions"], [ref("AlarmTopic")], id_)
            self.assertEqual(alarm["OKActions"], [ref("AlarmTopic")], id_)
            self.assertIsNot(alarm.get("ActionsEnabled"), False, id_)
            self.assertIn("AlarmDescription", alarm, id_)
            self.assertTrue(alarm["AlarmName"].startswith(f"{template.STACK}-"), id_)
            self.assertEqual(alarm["TreatMissingData"], "breaching" if id_ == "SilentAlarm" else "notBreaching", id_)

    def test_the_page_says_what_to_do_about_each_alarm(self):
        names = {alarm["AlarmName"].removeprefix(template.STACK)
                 for alarm in self.stack.of_type("AWS::CloudWatch::Alarm").values()}
        first_cells = re.findall(r"^\| (`.+?) \|", section(OPERATIONS, "## Read an alarm"), re.MULTILINE)
        self.assertEqual(sorted(re.findall("`(.+?)`", " ".join(first_cells))), sorted(names))

    def test_the_page_redrives_from_each_dead_letter_queue_to_its_own_queue(self):
        page = section(OPERATIONS, "## Redrive a dead-letter queue")
        for queue, dead in DEAD_LETTERS.items():
            names = [self.stack.properties(id_)["QueueName"].replace(template.STACK, deployed_as())
                     for id_ in (queue, dead)]
            self.assertIn("queue={} dead_letters={}\n".format(*names), page)
        # Without it AWS does not move messages that a function has dead-lettered.
        self.assertIn('--destination-arn "$(arn_of "$queue")"', page)

    def test_the_costs_match_the_alarms_metrics_and_queues_of_the_template(self):
        alarms = self.stack.of_type("AWS::CloudWatch::Alarm").values()
        self.assertFalse([alarm["AlarmName"] for alarm in alarms if "MetricName" not in alarm],
                         "an alarm is billed for each metric that it reads")
        declared = text("shared/aws/src/metrics.rs")
        metrics = re.findall(r'^    (\w+), "(?:Count|Seconds|Milliseconds)", Sent, "', declared, re.MULTILINE)
        queues = [self.stack.properties(mapping["EventSourceArn"]["Fn::GetAtt"][0])
                  for mapping in self.stack.of_type("AWS::Lambda::EventSourceMapping").values()]
        fifo = [queue for queue in queues if queue.get("FifoQueue")]
        cost = loaded("infra/cost.py")
        self.assertEqual((cost.ALARMS, cost.METRICS), (len(alarms), len(metrics)), metrics)
        self.assertEqual((cost.STANDARD_QUEUES, cost.FIFO_QUEUES), (len(queues) - len(fifo), len(fifo)))
        page = section(DEPLOY, "## What it costs")
        self.assertIn(f" {cost.METRICS} metrics and {cost.ALARMS} alarms", page)

    def test_a_small_installation_costs_little_and_its_alarms_and_metrics_are_in_the_free_tier(self):
        cost = loaded("infra/cost.py")
        self.assertEqual(cost.AT_MOST, {10: 2.50, 1_000: 8.00})
        for targets, dollars in cost.AT_MOST.items():
            self.assertLessEqual(cost.in_all(targets), dollars, f"{targets} targets")
        self.assertTrue(cost.ALARMS <= 10 and cost.METRICS <= 10, "the free tier has ten of each")

    def test_a_monitor_without_checks_for_15_minutes_is_an_alarm_even_without_data(self):
        alarm = self.stack.properties("SilentAlarm")
        self.assertEqual((alarm["Namespace"], alarm["MetricName"]), ("GitHubRunnerMonitor", "ChecksCompleted"))
        self.assertEqual(alarm["Dimensions"], OWN)
        self.assertEqual((alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]),
                         ("Sum", "LessThanThreshold", 1))
        self.assertEqual((alarm["Period"], alarm["EvaluationPeriods"]), (300, 3))
        self.assertNotIn("DatapointsToAlarm", alarm, "all periods must be without checks")
        self.assertEqual(alarm["TreatMissingData"], "breaching")

    def test_jobs_that_keep_expiring_are_an_alarm(self):
        for minutes in self.allowed_values("IntervalMinutes"):
            alarm = Stack(IntervalMinutes=minutes).properties("JobsExpiredAlarm")
            self.assertEqual((alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]),
                             ("GitHubRunnerMonitor", "ChecksCompleted", OWN))
            # Each completed check is a 1 and each expired job a 0.
            self.assertEqual((alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]),
                             ("Average", "LessThanOrEqualToThreshold", 0.9))
            # Three intervals with jobs, in the time after which the monitor counts as silent.
            self.assertEqual((alarm["Period"], alarm["DatapointsToAlarm"]), (300, 3))
            self.assertEqual(alarm["Period"] * alarm["EvaluationPeriods"], max(15, 3 * minutes) * 60)

    def test_a_notification_that_is_pending_for_15_minutes_is_an_alarm_even_if_a_function_is_down(self):
        alarm = self.stack.properties("NotificationsPendingAlarm")
        self.assertEqual((alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]),
                         ("GitHubRunnerMonitor", "OldestPendingNotificationSecs", OWN))
        self.assertEqual((alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]),
                         ("Maximum", "GreaterThanOrEqualToThreshold", 900))
        # The metric is written once per interval, which may be longer than a period.
        self.assertEqual((alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]), (300, 3, 1))
        for function in ("poller", "scheduler"):
            self.assertIn("OldestPendingNotificationSecs", text(f"functions/{function}/src/handler.rs"))
        self.assertNotIn("OldestPendingNotificationSecs", text("functions/notifier/src/handler.rs"))

    def test_a_dead_letter_is_an_alarm(self):
        for dead in DEAD_LETTERS.values():
            alarm = self.alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", self.queue_name(dead))
            self.assertEqual((alarm["Statistic"], alarm["EvaluationPeriods"]), ("Maximum", 1))
            self.assertEqual((alarm["ComparisonOperator"], alarm["Threshold"]), ("GreaterThanThreshold", 0))

    def test_alerts_that_wait_for_a_second_failed_attempt_are_an_alarm(self):
        alarm = self.alarm("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", self.queue_name("ChangesQueue"))
        self.assertEqual((alarm["Statistic"], alarm["ComparisonOperator"]), ("Maximum", "GreaterThanThreshold"))
        self.assertEqual((alarm["Period"], alarm["EvaluationPeriods"]), (60, 1))
        queue, notifier = self.stack.properties("ChangesQueue"), self.stack.properties("NotifierFunction")
        # One failed attempt is harmless. The alarm stands in for the errors and throttles of the notifier.
        self.assertGreaterEqual(alarm["Threshold"], queue["VisibilityTimeout"] + notifier["Timeout"])
        self.assertLessEqual(alarm["Threshold"] + alarm["Period"], 10 * 60)
        # An age can only be measured while the message still exists.
        self.assertLess(alarm["Threshold"], queue["MessageRetentionPeriod"])

    def test_errors_and_throttles_of_each_function_are_alarms_or_have_a_consequence_that_is(self):
        for metric in ("Errors", "Throttles"):
            self.assert_in_two_of_three(self.alarm("AWS/Lambda", metric, "FunctionName", ref("PollerFunction")))
        self.assert_in_two_of_three(self.alarm("AWS/ApiGateway", "5xx", "ApiId", ref("SlackApi")))
        # Lambda dead-letters a tick that failed, or was throttled until it was too old.
        self.assertIn("OnFailure", self.asynchronous("SchedulerFunction")["DestinationConfig"])
        # A state-change message stays in its queue.
        mappings = self.stack.of_type("AWS::Lambda::EventSourceMapping").values()
        self.assertIn((ref("NotifierFunction"), arn_of("ChangesQueue")),
                      [(each["FunctionName"], each["EventSourceArn"]) for each in mappings])

    def assert_in_two_of_three(self, alarm):
        self.assertEqual((alarm["Statistic"], alarm["Threshold"]), ("Sum", 1))
        self.assertEqual(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold")
        self.assertEqual((alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]), (300, 2, 3))

    def alarm(self, namespace, metric, dimension, value):
        """The one alarm on a metric."""
        wanted = (namespace, metric, [{"Name": dimension, "Value": value}])
        (found,) = [alarm for alarm in self.stack.of_type("AWS::CloudWatch::Alarm").values()
                    if (alarm.get("Namespace"), alarm.get("MetricName"), alarm.get("Dimensions")) == wanted]
        return found

    def queue_name(self, id_):
        return {"Fn::GetAtt": [id_, "QueueName"]}

    def test_alarms_are_mailed_to_the_given_address(self):
        self.assertEqual(self.stack.of_type("AWS::SNS::Subscription"), {})
        subscription = Stack(AlarmEmail="ops@example.com").one("AWS::SNS::Subscription")
        self.assertEqual((subscription["Protocol"], subscription["Endpoint"]), ("email", "ops@example.com"))
        self.assertEqual(subscription["TopicArn"], ref("AlarmTopic"))

    def test_a_stack_whose_alarms_reach_nobody_says_so(self):
        self.assertIn("NOBODY", self.stack.template["Outputs"]["AlarmsReach"]["Value"])
        self.assertIn("AlarmEmail=", self.stack.template["Outputs"]["AlarmsReach"]["Value"])
        named = Stack(AlarmEmail="ops@example.com").template["Outputs"]["AlarmsReach"]["Value"]
        self.assertIn("ops@example.com", json.dumps(named))
        self.assertNotIn("NOBODY", json.dumps(named))
        self.assertIn("reach nobody", template.source()["Parameters"]["AlarmEmail"]["Description"])
        self.assertIn("reach nobody", section(DEPLOY, "### The parameters of the stack"))
        self.assertIn("reach nobody", section("README.md", "## On AWS"))

    def test_two_stacks_in_one_account_share_no_metric(self):
        for function in FUNCTIONS:
            variables = self.stack.properties(function)["Environment"]["Variables"]
            self.assertEqual(variables["STACK_NAME"], template.STACK, function)
        own = [alarm for alarm in self.stack.of_type("AWS::CloudWatch::Alarm").values()
               if alarm["Namespace"] == "GitHubRunnerMonitor"]
        self.assertGreaterEqual(len(own), 3)
        for alarm in own:
            self.assertEqual(alarm["Dimensions"], OWN, alarm["AlarmName"])
        shown, logs = 0, set(self.stack.of_type("AWS::Logs::LogGroup"))
        for widget in self.widgets():
            properties, above = widget["properties"], []
            if widget["type"] == "log":
                sources = re.findall(r"SOURCE '(.+?)'", properties["query"])
                self.assertTrue(sources and {source.strip("${}") for source in sources} <= logs, properties["query"])
                continue
            for metric in properties["metrics"]:
                # "." repeats a field of the previous line, "..." all but the last.
                names = [each for each in metric if isinstance(each, str)]
                if names[:1] == ["..."]:
                    names = above[:len(above) - len(names) + 1] + names[1:]
                names = [above[place] if name == "." else name for place, name in enumerate(names)]
                above = names
                if names[0] == "GitHubRunnerMonitor":
                    self.assertEqual(names[2:], ["Stack", template.STACK], properties["title"])
                    shown += 1
        self.assertGreaterEqual(shown, 3)

    def widgets(self):
        body = self.stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"]
        body = body["Fn::Sub"] if isinstance(body, dict) else body
        return json.loads(body.replace("${AWS::StackName}", template.STACK))["widgets"]

    # ---- parameters

    def test_the_page_has_every_parameter_with_its_default(self):
        table = section(DEPLOY, "### The parameters of the stack")
        rows = re.findall(r"^\| `(\w+)` \| (.*?)\|", table, re.MULTILINE)
        defaults = {name: str(described["Default"]) for name, described in template.source()["Parameters"].items()}
        self.assertEqual({name: default.strip(" `") for name, default in rows}, defaults)

    def test_a_deploy_keeps_the_parameters_that_it_does_not_name(self):
        # `sam deploy` sets the parameters in samconfig.toml, and asks CloudFormation to keep the others.
        configuration = tomllib.loads(text("infra/samconfig.toml"))["default"]
        self.assertNotIn("parameter_overrides", json.dumps(configuration))
        # Without `--guided` SAM does not ask for these.
        self.assertEqual(configuration["deploy"]["parameters"]["capabilities"], "CAPABILITY_IAM")
        self.assertIs(configuration["deploy"]["parameters"]["resolve_s3"], True)
        known = set(template.source()["Parameters"])
        for page in ("README.md", DEPLOY, OPERATIONS):
            named = [name for words in re.findall(r"--parameter-overrides ((?:\w+=\S+ ?)+)", text(page))
                     for name in re.findall(r"(\w+)=", words)]
            self.assertTrue(named and set(named) <= known | {"NAME"}, named)

    # ---- dashboard and outputs

    def test_the_dashboard_is_json_and_shows_every_promised_figure(self):
        widgets = self.widgets()
        shown = json.dumps(widgets)
        for figure in ["ChecksCompleted", "OldestPendingNotificationSecs", "ApproximateNumberOfMessagesVisible"]:
            self.assertIn(f'"{figure}"', json.dumps([each for each in widgets if each["type"] == "metric"]))
        for figure in ["RunnersTotal", "RunnersOnline", "RunnersDown", "ChecksFailed", "JobsExpired", "QuotaRemaining",
                       "AlertLatency", "NotificationsSent", "MessagesDeadLettered"]:
            self.assertRegex(shown, rf"(sum|min|max)\({figure}\)")
            self.assertRegex(text("shared/aws/src/metrics.rs"), rf"(?m)^    {figure}, ")
        places = [(each["x"], each["y"]) for each in widgets]
        self.assertEqual(len(places), len(set(places)), "two widgets in the same place")
        self.assertTrue(all(each["x"] + each["width"] <= 24 for each in widgets), "the dashboard has 24 columns")

    def test_outputs_name_queues_and_topic(self):
        outputs = {name: output["Value"] for name, output in self.stack.template["Outputs"].items()}
        for name, id_ in [("ChecksQueueUrl", "ChecksQueue"), ("ChangesQueueUrl", "ChangesQueue"),
                          ("ChecksDeadLetterQueueUrl", "ChecksDeadLetterQueue"),
                          ("ChangesDeadLetterQueueUrl", "ChangesDeadLetterQueue"),
                          ("AlarmTopicArn", "AlarmTopic")]:
            self.assertEqual(outputs.get(name), ref(id_))
        self.assertEqual(outputs["SlackCommandsUrl"], {"Fn::Sub": "${SlackApi.ApiEndpoint}/slack"})


if __name__ == "__main__":
    unittest.main()
