library(stats)

#' Fit a model of prices.
#'
#' @param data A data frame.
fit_prices <- function(data, formula = price ~ size) {
  scale_column <- function(x) (x - mean(x)) / sd(x)
  data$size <- scale_column(data$size)
  lm(formula, data = data)
}

predict.prices = function(object, newdata, ...) {
  stats::predict(object$model, newdata)
}

square <- \(x) x^2

setClass("Shop", representation(name = "character"))

setGeneric("sell", function(shop, what) standardGeneric("sell"))

setMethod("sell", "Shop", function(shop, what) {
  paste(shop@name, what)
})

Account <- R6Class("Account",
  public = list(
    balance = 0,
    deposit = function(amount) {
      self$balance <- self$balance + amount
    }
  )
)

rate <- 0.19
