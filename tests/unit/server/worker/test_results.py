from tunery_server.worker.results import results_csv


def test_one_line_a_step_with_whatever_is_known_of_it() -> None:
    text = results_csv(
        [
            {"step": 2, "train_loss": 0.5, "train_mean_token_accuracy": 0.75, "tokens": 9},
            {"step": 1, "train_loss": 1.0, "train_mean_token_accuracy": 0.25},
            {"step": 2, "valid_loss": 0.625, "valid_mean_token_accuracy": 0.5},
        ]
    )
    assert text.decode().splitlines() == [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy",
        "1,1.0,0.25,,",
        "2,0.5,0.75,0.625,0.5",
    ]


def test_a_step_that_was_done_twice_counts_as_it_was_last() -> None:
    text = results_csv([{"step": 1, "train_loss": 1.0}, {"step": 1, "train_loss": 2.0}])
    assert text.decode().splitlines()[1:] == ["1,2.0,,,"]


def test_pairs_have_columns_of_their_own() -> None:
    text = results_csv(
        [
            {"step": 1, "train_loss": 0.5, "train_accuracy": 1.0, "train_reward_margin": 2.0},
            {"step": 1, "valid_loss": 0.25, "valid_accuracy": 0.5, "valid_reward_margin": 3.0},
        ]
    )
    assert text.decode().splitlines() == [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy,"
        "train_reward_margin,valid_accuracy,valid_reward_margin",
        "1,0.5,1.0,0.25,,2.0,0.5,3.0",
    ]


def test_without_steps_there_is_the_header() -> None:
    assert results_csv([]).count(b"\n") == 1
