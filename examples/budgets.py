"""Small budgets, a burst of calls on each, and what a caller does when there is no room."""

import asyncio
import itertools

from _local import configs
from modelrouter import BudgetBusyError, BudgetExceededError, Reply, Router

CALLS = 16


async def burst(router: Router, team: str) -> list[Reply | BaseException]:
    """Many calls of one team at once."""
    questions = (f"Say the number {number}." for number in range(CALLS))
    calls = (router.acomplete("support", question, stop=".", tags={"team": team}) for question in questions)
    return await asyncio.gather(*calls, return_exceptions=True)


async def until_it_is_spent(router: Router) -> BudgetExceededError:
    """One call after the other, until the budget of the trial has no room for the next."""
    for number in itertools.count():
        try:
            await router.acomplete("support", f"Say {number}.", max_output_tokens=4, tags={"team": "trial"})
        except BudgetExceededError as error:
            print(f"spent after {number} calls: {error}")
            return error
    raise AssertionError


async def main(config: str) -> None:
    """Three teams, three budgets."""
    async with Router.from_config(config) as router:
        patient = await burst(router, "billing")
        print(f"billing waits for money that is reserved: {sum(isinstance(each, Reply) for each in patient)} answers")
        assert all(isinstance(each, Reply) for each in patient)

        hasty = await burst(router, "sales")
        busy = [each for each in hasty if isinstance(each, BudgetBusyError)]
        print(f"sales does not wait: {CALLS - len(busy)} answers, {len(busy)} told to try again later")
        print(f"  {busy[0]}")
        assert busy
        assert all(isinstance(each, (Reply, BudgetBusyError)) for each in hasty)

        spent = await until_it_is_spent(router)
        assert spent.refusal.position.budget.name == "small"

        for position in router.budgets():
            limit, balance = position.budget.limit_nano_usd, position.balance
            print(f"{position.budget.name:8} {balance.spent:7} of {limit} billionths of a dollar spent")
            assert balance.used <= limit, "no budget is ever over-admitted"
            assert balance.reserved == 0


with configs() as folder:
    asyncio.run(main(str(folder / "budgets.yaml")))
